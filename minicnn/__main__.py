"""Run the command line as ``python -m minicnn``."""

import sys

from minicnn.commands.main import main

if __name__ == "__main__":
    sys.exit(main(program="python -m minicnn"))
