"""Run the command line: `python -m mtf_synthesizer` equals the command `mtf_synthesizer`."""

import sys

from mtf_synthesizer.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
