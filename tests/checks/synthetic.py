"""Synthetic tasks: scores that need no learned attention, and what small models learn.

    python tests/checks/synthetic.py controls   the table of docs/synthetic_tasks.md, in 2 minutes
    python tests/checks/synthetic.py learning   models are trained and must pass, in 2 minutes

`make check-synthetic` does both.
"""

import dataclasses
import json
import pathlib
import sys

import stacks

from mtf_synthesizer.runtime import loading

STEPS = 200
NO_ATTENTION = (
    "transformer.make_layer_stack.layers = "
    "[@mesh_tensorflow.transformer.transformer_layers.DenseReluDense]"
)


@dataclasses.dataclass(frozen=True)
class Expectation:
    """The accuracy of symbols that a row reaches on a task: from `least` to `most` per cent.

    `params` are bindings of gin besides those of the experiment.
    """

    task: str
    row: str
    least: float
    most: float
    params: tuple[str, ...] = ()


# Without attention 1 letter of 26 is right. A fixed position for each blank is enough for all, so R
# must learn as well as V.
EXPECTATIONS = (
    Expectation("copy", "v", 99, 100),
    Expectation("copy", "r", 99, 100),
    Expectation("copy", "v", 2, 8, params=(NO_ATTENTION,)),
)


def main(arguments: list[str]) -> int:
    parts = {"controls": print_controls, "learning": check_learning}
    unknown = set(arguments) - set(parts)
    if unknown:
        print(f"unknown part {' '.join(sorted(unknown))}; known: {' '.join(parts)}")
        return 2
    failed = [name for name in arguments or parts if not parts[name]()]
    print(f"failed: {' '.join(failed)}" if failed else "all passed")
    return 1 if failed else 0


def print_controls() -> bool:
    """The controls of every task as rows of a table: accuracy of symbols."""
    loading.load_tensorflow(verbose=False)
    from mtf_synthesizer.tasks import synthetic, synthetic_controls

    names = ("own_position", "fixed_place", "neighbour", "counts")
    print(f"| task | {' | '.join(names)} |")
    print("|---" * (len(names) + 1) + "|")
    for problem in synthetic.PROBLEMS.values():
        scores = synthetic_controls.scores(problem)
        cells = [
            f"{scores[name]['symbol_accuracy']:.1f}" if name in scores else "" for name in names
        ]
        print(f"| {problem.name} | {' | '.join(cells)} |", flush=True)
    return True


def check_learning() -> bool:
    """Trains and evaluates the rows of `EXPECTATIONS`."""
    folder = stacks.fresh_folder("synthetic")
    passed = True
    for number, expected in enumerate(EXPECTATIONS):
        reached = accuracy(folder / f"{expected.task}_{expected.row}_{number}", expected)
        within = expected.least <= reached <= expected.most
        passed &= within
        row = f"{expected.row} on {expected.task}{' without attention' if expected.params else ''}"
        verdict = "passed" if within else "FAILED"
        limits = f"{expected.least} to {expected.most}"
        print(f"{row}: {reached:.1f} % of symbols, expected {limits}: {verdict}", flush=True)
    return passed


def accuracy(model_dir: pathlib.Path, expected: Expectation) -> float:
    """Train one row, and return its accuracy of symbols on the test split."""
    command = pathlib.Path(sys.executable).parent / "mtf_synthesizer"
    task = f"synthesizer_{expected.task}_v001"
    stacks.run(
        [command, "train", "--experiment", f"synthetic_{expected.task}", "--model_dir", model_dir]
        + ["--synthesizer", expected.row, "--steps", f"{STEPS}"]
        + [part for param in expected.params for part in ("--gin_param", param)]
    )
    stacks.run([command, "evaluate", "--model_dir", model_dir, "--task", task, "--split", "test"])
    report = json.loads((model_dir / f"eval_{task}_test.json").read_text("utf-8"))
    return report["results"][-1]["metrics"]["symbol_accuracy"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
