"""Compare a convolutional network with a dense one: python examples/compare_dnn.py --data PATH."""

import sys

from minicnn.commands.compare_dnn import main

if __name__ == "__main__":
    sys.exit(main(program=f"python {sys.argv[0]}"))
