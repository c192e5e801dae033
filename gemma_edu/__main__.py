"""`python -m gemma_edu` is `gemma-edu`."""

import sys

from gemma_edu.cli import main

if __name__ == "__main__":
    sys.exit(main())
