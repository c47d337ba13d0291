"""Columns of evaluations: our mean and spread over the seeds, beside the paper's value."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence

from mtf_synthesizer.inference import averages
from mtf_synthesizer.studies.report import commands, paper
from mtf_synthesizer.studies.report.runs import Run
from mtf_synthesizer.studies.report.section import NONE, NOT_RUN, Columns, ReportSection

# Returns the value of a run in one cell; None without a value.
Value = Callable[[Run], float | None]


def of_column(column: paper.PaperColumn, runs: Sequence[Run]) -> Columns:
    """The two columns of an evaluation."""
    split = commands.split(column.experiment)
    ours = _by_row(runs, column.experiment, split)
    digits = _digits(column.values.values())
    cells = {}
    for row in dict.fromkeys([*paper.rows(column.experiment), *ours]):
        theirs = f"{column.values[row]:.{digits}f}" if row in column.values else NONE
        measured = _cell(ours.get(row, []), _metric(column.metric), digits, split)
        cells[row] = (theirs, NONE if row == paper.REPORTED else measured or NOT_RUN)
    return Columns(
        (f"{column.title}, paper", f"{column.title}, ours"),
        cells,
        commands=_commands(ours.values()),
        missing=_missing(column.experiment, cells),
    )


def _digits(values: Iterable[float]) -> int:
    """Number of decimals: as the paper prints, but at least two."""
    return max(2, *(len(f"{value:g}".partition(".")[2]) for value in values))


def _metric(name: str) -> Value:
    """A function that reads a metric of a run; the first task that has the metric counts."""

    def value(run: Run) -> float | None:
        return next((m[name] for m in run.tasks.values() if name in m), None)

    return value


def of_leaderboard(board: paper.Leaderboard, runs: Sequence[Run]) -> Columns:
    """The columns of GLUE or SuperGLUE: the average, and the official metrics of each task."""
    benchmark = next(
        candidate for candidate in averages.BENCHMARKS if candidate.name == board.benchmark
    )
    ours = _by_row(runs, board.experiment, commands.split(board.experiment))
    tasks = {column.name: column for column in benchmark.columns}
    readers = [_average(benchmark, board.tasks)]
    readers += [_scores(benchmark, tasks[name]) for name in board.tasks]
    heads = (board.benchmark, *board.tasks)
    cells: dict[str, tuple[str, ...]] = {}
    for row in dict.fromkeys([*board.values, *ours]):
        theirs = board.values.get(row, ((),) * len(heads))
        cells[row] = tuple(
            cell
            for scores, values in zip(theirs, readers, strict=True)
            for cell in (_slashed(scores) or NONE, _parts(ours.get(row, []), values) or NOT_RUN)
        )
    notes = [f"{_label(row)}: {_made(of_row, '')}" for row, of_row in ours.items() if of_row]
    return Columns(
        tuple(f"{head}, {whose}" for head in heads for whose in ("paper", "ours")),
        cells,
        notes=(
            f"Our average is the mean of these {len(board.tasks)} tasks, if all are evaluated.",
            *notes,
        ),
        commands=_commands(ours.values()),
        missing=_missing(board.experiment, cells),
    )


Scores = Callable[[Run], Sequence[float] | None]


def _scores(benchmark: averages.ScoredBenchmark, column: averages.ScoreColumn) -> Scores:
    def values(run: Run) -> list[float] | None:
        numbers: list[float] = []
        for task in column.tasks:
            part = averages.metrics_of(f"{benchmark.prefix}_{task}", column.metrics, run.tasks)
            if not part:
                return None
            numbers += part
        return numbers

    return values


def _average(benchmark: averages.ScoredBenchmark, tasks: Sequence[str]) -> Scores:
    """The mean of the paper's tasks; for GLUE without WNLI."""

    def value(run: Run) -> list[float] | None:
        scores = averages.average(benchmark, run.tasks)["tasks"]
        if not set(tasks) <= set(scores):
            return None
        return [statistics.fmean(scores[task] for task in tasks)]

    return value


def _parts(runs: Sequence[Run], read: Scores) -> str:
    """Means over the seeds, in the paper's notation: 91.2/87.7."""
    all_scores = [scores for scores in map(read, runs) if scores is not None]
    return _slashed([statistics.fmean(values) for values in zip(*all_scores, strict=True)])


def _slashed(scores: Iterable[float]) -> str:
    return "/".join(f"{score:.1f}" for score in scores)


def _label(row: str) -> str:
    return paper.LABELS.get(row, row)


def _by_row(runs: Sequence[Run], experiment: str, split: str) -> dict[str, list[Run]]:
    """The runs of an experiment by row; runs on the table's split are preferred.

    Runs that start from models, in an experiment that does not, are rows of their own.
    """
    rows: dict[str, list[Run]] = {}
    for run in runs:
        if run.experiment == experiment:
            is_fresh = run.start is None or experiment in paper.STARTS
            row = run.row if is_fresh else f"{run.row}, from {run.start}"
            rows.setdefault(row, []).append(run)
    chosen = {}
    for row, of_row in rows.items():
        on_split = [run for run in of_row if run.split == split]
        chosen[row] = on_split or [run for run in of_row if run.split == of_row[0].split]
    return chosen


def _cell(runs: Sequence[Run], value: Value, digits: int, split: str) -> str:
    """Mean ± spread, with notes on the runs; empty if no run has a value."""
    with_value = [(run, number) for run in runs if (number := value(run)) is not None]
    if not with_value:
        return ""
    values = [number for _, number in with_value]
    deviation = averages.spread(values)
    spread = "" if deviation is None else f" ± {deviation:.{digits}f}"
    commands = _made([run for run, _ in with_value], split)
    return f"{statistics.fmean(values):.{digits}f}{spread} ({commands})"


def _made(runs: Sequence[Run], split: str) -> str:
    """Notes on a value: seeds, steps, and other conditions of the runs."""
    seeds = sorted({run.seed for run in runs if run.seed is not None})
    steps = sorted({run.steps for run in runs if run.steps is not None})
    notes = [f"{len(runs)} run{'s' if len(runs) > 1 else ''}"]
    if len(seeds) == len(runs):
        notes = [f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"]
    if steps:
        ends = dict.fromkeys((steps[0], steps[-1]))
        notes.append(f"{' to '.join(f'{end:,}' for end in ends)} steps")
    notes += [f"{other} split" for other in sorted({run.split for run in runs} - {split}) if split]
    notes += [f"first {n} examples" for n in sorted({run.limit for run in runs if run.limit})]
    falling = sum(bool(run.falls) for run in runs)
    notes += [f"{falling} still falling"] if falling else []
    return "; ".join(notes)


def _commands(groups: Iterable[Sequence[Run]]) -> tuple[str, ...]:
    return tuple(command for runs in groups for run in runs for command in run.commands)


def _missing(experiment: str, cells: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The commands that make missing values."""
    return commands.missing(experiment, [row for row in cells if NOT_RUN in cells[row]])


def small(runs: Sequence[Run]) -> list[ReportSection]:
    """Our small experiments beside the columns of the paper that they resemble."""
    sections = []
    for experiment in paper.LIKE:
        ours = _by_row(runs, experiment, "test")
        columns = paper.columns(experiment)
        runs_of = [run for of_row in ours.values() for run in of_row]
        metrics = dict.fromkeys(
            m for run in runs_of for metrics_of_task in run.tasks.values() for m in metrics_of_task
        )
        rows = []
        for row, of_row in ours.items():
            cells = [_label(row)]
            cells += [
                f"{c.values[row]:.{_digits(c.values.values())}f}" if row in c.values else NONE
                for c in columns
            ]
            cells += [_cell(of_row, _metric(m), 2, "test") or NOT_RUN for m in metrics]
            rows.append(cells)
        if rows:
            sections.append(
                ReportSection(
                    f"{experiment}: a small version of {columns[0].experiment}",
                    [
                        "model",
                        *(f"{c.title}, paper" for c in columns),
                        *(f"{m}, ours" for m in metrics),
                    ],
                    rows,
                    commands=list(dict.fromkeys(_commands(ours.values()))),
                )
            )
    return sections


def others(runs: Sequence[Run]) -> list[ReportSection]:
    """Evaluations that belong to no table."""
    in_tables = {c.experiment for c in (*paper.COLUMNS, *paper.LEADERBOARDS)} | set(paper.LIKE)
    groups: dict[tuple[object, ...], list[Run]] = {}
    for number, run in enumerate(runs):
        if run.experiment not in in_tables:
            # Models without an experiment may differ in anything.
            same = (run.steps, run.start, run.limit) if run.experiment else number
            groups.setdefault((run.experiment, run.row, run.split, same), []).append(run)
    rows = []
    for of_row in groups.values():
        run = of_row[0]
        for task, metrics in run.tasks.items():
            of = [run.experiment or NONE, run.row, task or NONE, run.split]
            for name in metrics:
                with_value = [other for other in of_row if name in other.tasks.get(task, {})]
                values = [other.tasks[task][name] for other in with_value]
                rows.append([*of, name, _mean(values), _made(with_value, run.split)])
    if not rows:
        return []
    heads = ["experiment", "model", "task", "split", "metric", "ours", "of"]
    commands = list(dict.fromkeys(_commands(groups.values())))
    return [ReportSection("Other evaluations", heads, rows, commands=commands)]


def _mean(values: Sequence[float]) -> str:
    """Mean ± spread to four digits."""
    deviation = averages.spread(values)
    spread = "" if deviation is None else f" ± {deviation:.2g}"
    return f"{statistics.fmean(values):.4g}{spread}"
