"""Tell the expressions on pictures: python examples/predict.py [RUN|WEIGHTS|NAME] IMAGE..."""

import sys

from minicnn.commands.predict import main

if __name__ == "__main__":
    sys.exit(main(program=f"python {sys.argv[0]}"))
