"""Run the commands of tutorial pages in order, as a reader would.

    python tests/checks/tutorials.py [PAGE ...] [--steps N] [--folder FOLDER]

A page's indented blocks are its commands. A Python block is saved under the name that follows it
("Save it as `name.py`"). With --steps every training has so many steps.
"""

import argparse
import contextlib
import os
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TUTORIALS = ("first_run", "own_function", "own_task", "from_t5", "finetune_t5", "lookup", "glue")
# What a reader has before the first command; here a small T5 of random weights in the format of
# transformers.
BEFORE = {
    "finetune_t5": (
        f"cp {ROOT}/README.md text.txt",
        "mtf_synthesizer data vocabulary --input text.txt --size 300 --output t5.model",
        "mtf_synthesizer train --synthesizer t5 --size tiny --data train=text.txt --steps 1 "
        "--batch_size 2 --vocabulary t5.model --model_dir runs/t5",
        "mtf_synthesizer export --model_dir runs/t5 --format huggingface --output flan-t5-small",
    )
}
FENCE = re.compile(r"^```python\n(.*?)^```\n(.*?)(?=^```|\Z)", re.MULTILINE | re.DOTALL)
# Commands that set up the reader's terminal, and gin files that are shown.
LEFT_OUT = (". .venv/", "pip install", "tensorboard", "import ", "include ", "--")


def commands(page: str) -> list[str]:
    """Return the commands of a page, in order."""
    text = (ROOT / "docs" / f"{page}.md").read_text("utf-8")
    lines = re.findall(r"^    (\S.*)$", re.sub(FENCE, r"\2", text), re.MULTILINE)
    return [
        line
        for line in lines
        if not line.startswith(LEFT_OUT) and (" = " not in line or line.startswith("mtf_"))
    ]


def modules(page: str) -> dict[str, str]:
    """Return the Python files that a page tells to save: name -> source."""
    text = (ROOT / "docs" / f"{page}.md").read_text("utf-8")
    saved = {}
    for source, after in FENCE.findall(text):
        named = re.search(r"Save it as `(\w+\.py)`", after)
        if named:
            saved[named[1]] = source
    return saved


def shortened(command: str, steps: int | None) -> str:
    """Return a command whose training has `steps` steps; None leaves it."""
    if steps is None:
        return command
    command = re.sub(r"--steps \d+", f"--steps {steps}", command)
    return re.sub(r"--evaluate_every \d+", f"--evaluate_every {steps}", command)


def run(page: str, folder: pathlib.Path, steps: int | None) -> None:
    """Run a tutorial in `folder`.

    Raises:
      RuntimeError: a command fails.
    """
    from mtf_synthesizer.cli.main import main

    folder.mkdir(parents=True, exist_ok=True)
    for name, source in modules(page).items():
        (folder / name).write_text(source)
    # `python` is the environment's, as after `. .venv/bin/activate`.
    search = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    terminal = {**os.environ, "PATH": search}
    with contextlib.chdir(folder):
        sys.path.insert(0, str(folder))
        try:
            for command in [*BEFORE.get(page, ()), *commands(page)]:
                short = shortened(command, steps)
                print(f"$ {short}", flush=True)
                if short.startswith("mtf_synthesizer "):
                    status = main(shlex.split(short)[1:])
                else:
                    status = subprocess.run(["bash", "-euc", short], env=terminal).returncode
                if status:
                    raise RuntimeError(f"{page}: status {status} of: {short}")
        finally:
            sys.path.remove(str(folder))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="*", default=TUTORIALS)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "runs/tutorials")
    args = parser.parse_args()
    os.environ.setdefault("MTF_SYNTHESIZER_CACHE", str(ROOT / "runs/cache"))
    for each in args.pages:
        run(each, args.folder.resolve() / each, args.steps)
