"""The commands of `report` and the documentation, run to their end at a tiny size.

`make check-commands`: each comparison and each training has two steps, one seed and a model of a
few numbers, in one process. Commands that need large data, a server or another environment are
listed with the reason.

`tests/checks/commands.py --resume` runs again only what has not passed, in the folder of the last
run. `tests/checks/commands.py serving report` runs the pages with these words in their names; the
models that they read have to exist from a run before.
"""

import os
import pathlib
import shutil
import sys
import time
import traceback
from collections import Counter

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
FOLDER = ROOT / "runs" / "check_commands"
PASSED = FOLDER / "passed.txt"


def main(words) -> int:
    """The number of commands that failed."""
    _load_quickly()
    start = time.monotonic()
    pages = [word for word in words if word != "--resume"]
    _enter_folder(keep=bool(words))
    chosen = [pair for pair in _commands() if _is_chosen(pair[0].page, pages)]
    passed = _passed() if "--resume" in words else set()
    failed, skipped, made, ended = [], Counter(), _made_before(), set()
    for printed, command in chosen:
        if not command.words:
            skipped[command.reason or "measures or counts"] += 1
            continue
        name = f"{printed.page}: {printed.text}"
        if name in passed or command.words in ended:
            continue
        _remove_other_models(printed, made)
        if _fails(command.words):
            failed.append(name)
        else:
            ended.add(command.words)
            _record(name)
    print(*(f"not run here, {number}: {reason}" for reason, number in skipped.items()), sep="\n")
    print(*(f"FAILED: {text}" for text in failed), sep="\n")
    run = len(chosen) - skipped.total()
    minutes = (time.monotonic() - start) / 60
    print(f"{run - len(failed)} of {run} commands end well; {minutes:.0f} minutes")
    return len(failed)


def _load_quickly():
    """Load TensorFlow as the tests do: one precision for all commands, and graphs built quickly."""
    os.environ.setdefault("MTF_SYNTHESIZER_MATMUL_PRECISION", "float32")
    from mtf_synthesizer.runtime import loading

    loading.load_tensorflow(verbose=False)
    import quick_graphs

    quick_graphs.install()


def _enter_folder(keep):
    """Make the working directory with the files that commands name, unless it is kept."""
    from small_commands import prepare_data
    from small_documented import prepare_documented

    new = not (keep and (FOLDER / "data").exists())
    if new:
        shutil.rmtree(FOLDER, ignore_errors=True)
        (FOLDER / "nothing").mkdir(parents=True)
    os.chdir(FOLDER)
    if new:
        prepare_data(FOLDER)
        prepare_documented(FOLDER)


def _commands():
    """The printed commands in their order, each with its small form."""
    from printed_commands import of_help, of_pages, of_report
    from small_commands import small
    from small_documented import SmallCommand, small_documented

    report = [(p, SmallCommand(tuple(small(p.words)))) for p in of_report(FOLDER / "nothing")]
    documented = [(p, small_documented(p)) for p in _once([*of_pages(), *of_help()])]
    return [*report, *documented]


def _once(printed):
    """Commands in their order, the same one once."""
    found = {}
    for each in printed:
        found.setdefault(" ".join(each.words), each)
    return list(found.values())


def _is_chosen(page, pages):
    return not pages or any(name in page for name in pages)


def _passed():
    return set(PASSED.read_text("utf-8").splitlines()) if PASSED.exists() else set()


def _made_before():
    """Folders of models, each with the page whose command made it last."""
    from printed_commands import makes

    passed = _passed()
    run = (printed for printed, _ in _commands() if f"{printed.page}: {printed.text}" in passed)
    return {f: each.page for each in run if each.words[0] == "train" for f in makes(each)}


def _record(name):
    with PASSED.open("a", encoding="utf-8") as file:
        file.write(f"{name}\n")


def _remove_other_models(printed, made):
    """Remove the folder of a model that another page trained."""
    from printed_commands import makes

    for folder in makes(printed) if printed.words[0] == "train" else ():
        if made.setdefault(folder, printed.page) != printed.page:
            shutil.rmtree(folder, ignore_errors=True)
            made[folder] = printed.page


def _fails(words):
    from mtf_synthesizer.cli import main as cli

    print("$", *words, flush=True)
    start = time.monotonic()
    try:
        status = cli.main([*words])
    except SystemExit as end:  # T5's own script ends the process
        status = end.code
    except Exception:  # an error of one command must not keep the others from running
        traceback.print_exc()
        status = 1
    print(f"status {status or 0}, {time.monotonic() - start:.0f} s", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
