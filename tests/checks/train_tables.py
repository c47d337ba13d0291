"""How learned attention tables train, by initial scale, learning rate, batch and clipping.

Trains small one-stack models on the text of the embedded benchmark with Mesh's Adafactor, whose
step is learning rate * max(RMS(parameter), 0.001): a table that starts small moves slowly. Every
row of the printed table is one run. What was found is in docs/table_training.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from mtf_synthesizer.runtime import loading
from mtf_synthesizer.studies.demo.random_tables import total_variation

loading.load_tensorflow(verbose=False)

from table_models import LENGTH, Model, Run, examples, rows_of_text  # noqa: E402

NEAR = 2  # a key is near a query if their positions differ by at most this
PUBLIC_SCALE = 0.003  # Mesh's own Synthesizer: 0.0027 at N = 512 with 8 heads
SCALES = (PUBLIC_SCALE, 0.1, 0.3, 1.0, 3.0)
RATES = (0.003, 0.01, 0.03)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What was measured: losses in nats for a token; of maps None where there is no table.

    Attributes:
        start, loss: held-out loss before and after training.
        moved: total variation between the attention maps before and after.
        entropy: of the maps' rows before and after, in nats.
        near: share of the attention on near keys, before and after.
    """

    start: float
    loss: float
    moved: float | None = None
    entropy: tuple[float, float] | None = None
    near: tuple[float, float] | None = None


def entropy(maps: np.ndarray) -> float:
    """Mean entropy of the maps' rows, in nats."""
    return float(-(maps * np.log(np.maximum(maps, 1e-30))).sum(-1).mean())


def near(maps: np.ndarray) -> float:
    """Mean share of the attention on keys near the query."""
    position = np.arange(LENGTH)
    return float((maps * (np.abs(position[:, None] - position) <= NEAR)).sum(-1).mean())


def measure(run: Run, training: np.ndarray, held_out: np.ndarray) -> Outcome:
    """Trains once over the training rows."""
    model = Model(run, len(training) // run.batch)
    test = examples(held_out, run.causal)
    start, before = model.evaluate(*test), model.maps()
    model.train(*examples(training, run.causal))
    loss, after = model.evaluate(*test), model.maps()
    model.close()
    if before is None or after is None:
        return Outcome(start, loss)
    return Outcome(
        start,
        loss,
        total_variation(before, after),
        (entropy(before), entropy(after)),
        (near(before), near(after)),
    )


class Report:
    """Measures runs, each of them once, and prints a line for each."""

    def __init__(self, training: np.ndarray, held_out: np.ndarray):
        self._data = training, held_out
        self._known: dict[Run, Outcome] = {}

    def section(self, title: str, runs: Sequence[Run]) -> Run:
        """Prints a table of the runs; returns the one with the lowest held-out loss."""
        print(f"\n{title}\n")
        print("| S | text | scale | rate | batch | | held-out loss | moved | entropy | near |")
        print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
        for run in runs:
            if run not in self._known:
                self._known[run] = measure(run, *self._data)
            print(line(run, self._known[run]), flush=True)
        return min(runs, key=lambda run: self._known[run].loss)


def line(run: Run, outcome: Outcome) -> str:
    """A row of the printed table."""
    special = {
        "rsqrt": run.decay,
        f"clip {run.max_norm}": run.max_norm is not None,
        "factored": run.factored,
        f"seed {run.seed}": run.seed != 0,
    }
    cells = [
        run.function,
        "next" if run.causal else "masked",
        "-" if run.function == "v" else f"{run.scale:g}",
        f"{run.rate:g}",
        f"{run.batch * LENGTH}",
        ", ".join(name for name, holds in special.items() if holds),
        f"{outcome.start:.3f} → {outcome.loss:.3f}",
    ]
    if outcome.moved is None or outcome.entropy is None or outcome.near is None:
        cells += ["-", "-", "-"]
    else:
        cells.append(f"{outcome.moved:.3f}")
        cells += [f"{a:.2f} → {b:.2f}" for a, b in (outcome.entropy, outcome.near)]
    return f"| {' | '.join(cells)} |"


def experiment(report: Report, batch: int) -> None:
    """The whole experiment; later sections vary the best run of the first."""
    grid = [Run(scale=scale, rate=rate, batch=batch) for rate in RATES for scale in SCALES]
    best = report.section("Initial scale and learning rate", grid)

    def variants(**choices: Sequence) -> list[Run]:
        (name, values), *_ = choices.items()
        return [dataclasses.replace(best, **{name: value}) for value in values]

    def scales(*values: float, **changes: Any) -> list[Run]:
        return [dataclasses.replace(run, **changes) for run in variants(scale=values)]

    report.section("The dot product", scales(1.0, function="v"))
    report.section("Hidden tokens, all keys visible", scales(PUBLIC_SCALE, 0.3, 1, 3, causal=False))
    report.section("Larger batches, equal tokens", variants(batch=[batch, 2 * batch, 4 * batch]))
    report.section(
        "Fixed and factorized tables",
        [*scales(PUBLIC_SCALE, 1, 3, function="fix"), *scales(0.1, 1, 3, function="fr")],
    )
    report.section("A higher rate", scales(PUBLIC_SCALE, 1, rate=0.1))
    report.section("Clipping", variants(max_norm=[None, 1.0, 0.1]))
    report.section("T5's schedule", variants(decay=[False, True]))
    report.section("Another seed", scales(0.3, 1, 3, seed=1))
    report.section("Factored second moments", scales(PUBLIC_SCALE, 1, factored=True))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--steps", type=int, default=320, help="at the smallest batch (default: 320)"
    )
    parser.add_argument("--batch", type=int, default=16, help="rows of 64 tokens (default: 16)")
    parser.add_argument("--quick", action="store_true", help="two short runs, to see that it works")
    args = parser.parse_args(arguments)
    if args.steps < 4 or args.batch < 1:
        parser.error(f"--steps is {args.steps}, --batch {args.batch}; at least 4 and 1 are needed")
    begin = time.perf_counter()
    if args.quick:
        data = rows_of_text("train", 40 * 8), rows_of_text("validation", 32)
        Report(*data).section("Quick", [Run(scale=s, batch=8) for s in (PUBLIC_SCALE, 1.0)])
    else:
        data = rows_of_text("train", args.steps * args.batch), rows_of_text("validation", 256)
        experiment(Report(*data), args.batch)
    print(f"\n{time.perf_counter() - begin:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
