"""What `mtf_synthesizer checkpoints` prints."""

import os
from collections.abc import Iterable, Sequence

from mtf_synthesizer import checkpoint_state
from mtf_synthesizer.checkpoint_tools.files import Saved
from mtf_synthesizer.checkpoint_tools.prune import Plan
from mtf_synthesizer.checkpoint_tools.scores import Score


def print_list(
    model_dir: str | os.PathLike[str], found: Iterable[Saved], scores: Sequence[Score]
) -> None:
    """A table of checkpoints: step, size, state, and a line for each task that was evaluated."""
    from rich.console import Console
    from rich.table import Table

    goes_on = checkpoint_state.current(model_dir).name
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("step", "MB", "state", "scores"):
        table.add_column(
            column, justify="right" if column in ("step", "MB") else "left", overflow="fold"
        )
    for each in found:
        state = "complete" if each.complete else "not finished"
        if each.complete and each.name == goes_on:
            state += ", training goes on here"
        lines = _scores([score for score in scores if score.step == each.step])
        table.add_row(str(each.step), _megabytes(each), state, "\n".join(lines))
    Console(width=170, highlight=False).print(table)


def _scores(of_step: Sequence[Score]) -> list[str]:
    """For each task, split and number of examples a line of its metrics."""
    lines: dict[str, dict[str, float]] = {}
    for each in of_step:
        of = "" if each.examples is None else f" ({each.examples} examples)"
        lines.setdefault(f"{each.task} {each.split}{of}:", {})[each.metric] = each.value
    return [
        " ".join([name, *(f"{metric} {value:.4g}" for metric, value in values.items())])
        for name, values in lines.items()
    ]


def print_plan(wanted: Plan) -> None:
    """What is kept and why, and what is not."""
    for step, why in wanted.kept.items():
        print(f"keep    {step:>9}  {why}")
    for each in wanted.removed:
        unfinished = "" if each.complete else ", never finished"
        print(f"remove  {each.step:>9}  {_megabytes(each)} MB{unfinished}")


def _megabytes(each: Saved) -> str:
    return f"{each.bytes / 1e6:,.1f}"
