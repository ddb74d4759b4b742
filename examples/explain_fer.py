"""Show what a trained network looks at: python examples/explain_fer.py [RUN|NAME]."""

import sys

from minicnn.commands.explain_fer import main

if __name__ == "__main__":
    sys.exit(main(program=f"python {sys.argv[0]}"))
