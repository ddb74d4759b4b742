"""Work out both problem sheets, step by step and checked: python examples/math_problems.py."""

import sys

from minicnn.commands.math_problems import main

if __name__ == "__main__":
    sys.exit(main(program=f"python {sys.argv[0]}"))
