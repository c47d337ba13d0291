"""The commands of `report` and the documentation, run to their end at a tiny size.

`make check-commands`: each comparison and each training has two steps, one seed and a model of a
few numbers, in one process. Commands that need large data, a server or another environment are
listed with the reason.
"""

import os
import pathlib
import shutil
import sys
from collections import Counter

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
FOLDER = ROOT / "runs" / "check_commands"


def main() -> int:
    """The number of commands that failed."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    (FOLDER / "nothing").mkdir(parents=True)
    os.chdir(FOLDER)
    from printed_commands import makes, of_help, of_pages, of_report
    from small_commands import prepare_data, small
    from small_documented import SmallCommand, prepare_documented, small_documented

    prepare_data(FOLDER)
    prepare_documented(FOLDER)
    report = [(p, SmallCommand(tuple(small(p.words)))) for p in of_report(FOLDER / "nothing")]
    documented = [(p, small_documented(p)) for p in _once([*of_pages(), *of_help()])]
    failed, skipped, made = [], Counter(), {}
    for printed, command in [*report, *documented]:
        if not command.words:
            skipped[command.reason or "measures or counts"] += 1
            continue
        for folder in makes(printed) if printed.words[0] == "train" else ():
            if made.setdefault(folder, printed.page) != printed.page:
                shutil.rmtree(folder, ignore_errors=True)  # another page trains another model there
                made[folder] = printed.page
        if _fails(command.words):
            failed.append(f"{printed.page}: {printed.text}")
    print(*(f"not run here, {number}: {reason}" for reason, number in skipped.items()), sep="\n")
    print(*(f"FAILED: {text}" for text in failed), sep="\n")
    return len(failed)


def _once(printed):
    """Commands in their order, the same one once."""
    found = {}
    for each in printed:
        found.setdefault(" ".join(each.words), each)
    return list(found.values())


def _fails(words):
    from mtf_synthesizer.cli import main as cli

    print("$", *words, flush=True)
    try:
        return cli.main([*words])
    except SystemExit as end:  # T5's own script ends the process
        return end.code


if __name__ == "__main__":
    sys.exit(main())
