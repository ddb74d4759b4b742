"""Train a network on faces: FER-2013 with --data PATH, a built-in set of drawn faces without."""

import sys

from minicnn.commands.train_fer import main

if __name__ == "__main__":
    sys.exit(main(program=f"python {sys.argv[0]}"))
