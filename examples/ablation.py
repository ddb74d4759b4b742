"""Tell what normalisation and augmentation do: python examples/ablation.py --data PATH."""

import sys

from minicnn.commands.ablation import main

if __name__ == "__main__":
    sys.exit(main(program=f"python {sys.argv[0]}"))
