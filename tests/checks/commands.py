"""The commands that `report` prints, run to their end at a tiny size: `make check-commands`.

Each comparison and each training has two steps, one seed and a model of a few numbers, in one
process.
"""

import os
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
FOLDER = ROOT / "runs" / "check_commands"


def main() -> int:
    """The number of commands that failed."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    os.chdir(FOLDER)
    from printed_commands import of_report
    from small_commands import prepare_data, small

    from mtf_synthesizer.cli import main as cli

    (FOLDER / "nothing").mkdir()
    prepare_data(FOLDER)
    failed = []
    for printed in of_report(FOLDER / "nothing"):
        words = small(printed.words)
        if words:
            print("$", *words, flush=True)
            if cli.main(words):
                failed.append(printed.text)
    print(*(f"FAILED: {text}" for text in failed), sep="\n")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
