"""`python -m neml2`: all commands from one place, as `python -m neml2 run input.i`."""

import sys

from neml2.cli.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
