"""The paper's statements as data, each with its test on the runs that `compare` wrote.

A statement has parts, and each part compares two rows in one metric of one experiment. A part needs
three seeds of both rows; without them it is not decided.
"""

from __future__ import annotations

import dataclasses
import math
import shlex
import statistics
import warnings
from collections.abc import Iterable, Mapping, Sequence

from mtf_synthesizer.studies.report import paper
from mtf_synthesizer.studies.report.runs import Run
from mtf_synthesizer.studies.report.section import NONE, ReportSection

HOLDS, FAILS, OPEN = "holds", "does not hold", "not decided"
_SEEDS = 3
_LEVEL = 0.05
_LOWER_IS_BETTER = ("log_perplexity", "perplexity", "word_perplexity", "bits_per_byte")


@dataclasses.dataclass(frozen=True)
class ExpectedDifference:
    """A difference of two rows that a statement expects.

    Attributes:
      experiments: names of gin/experiments, the first with runs of both rows counts.
      metric: name of the metric; of several tasks the name with its task, as task/metric.
      row: the row that is expected to be better, or as good.
      other: the other row.
      margin: 0 if `row` must be better; otherwise how much worse it may be, in the metric.
      is_fitted: whether `row` starts from a fit to a trained model (`warm-start --fit`) and has
        fewer steps than `other`, which does not.
    """

    experiments: tuple[str, ...]
    metric: str
    row: str
    other: str
    margin: float = 0.0
    is_fitted: bool = False


@dataclasses.dataclass(frozen=True)
class Claim:
    """A statement of the paper.

    Attributes:
      statement: in a few words.
      place: section or table.
      parts: all of them must hold; empty if no run of `compare` can test it.
      other_test: the command that tests a statement without parts.
    """

    statement: str
    place: str
    parts: tuple[ExpectedDifference, ...] = ()
    other_test: str = ""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The result of one part.

    Attributes:
      part: the part.
      verdict: `HOLDS`, `FAILS` or `OPEN`.
      numbers: mean, standard deviation and seeds of both rows, as text.
      p: p of the one-sided Welch test; None without enough seeds.
      commands: commands that reproduce the runs.
    """

    part: ExpectedDifference
    verdict: str
    numbers: str
    p: float | None
    commands: tuple[str, ...]


# Experiment -> flags of its comparison, for splits that its data lacks.
_SPLITS: Mapping[str, tuple[str, ...]] = {
    "c4_small": ("--split", "train", "--validation_split", "train"),
    "glue_small": ("--split", "validation"),
    "imdb_small": ("--validation_split", "test"),
    "table7_ag_news": ("--validation_split", "test"),
    "table3_personachat": ("--split", "validation"),
}
# Experiments on tasks that come with the package.
_WITHOUT_DATA = ("modern_english", "verse_spans", "verses", "synthetic_lookup")
_TRANSLATION = ("table2_wmt14_ende", "multi30k_ende", "modern_english")
_LANGUAGE = ("table2_lm1b", "tiny_shakespeare")
_PRETRAINING = ("table4_c4", "c4_small", "verse_spans")
_GLUE = ("table5_glue", "glue_small")


def _better(
    experiments: tuple[str, ...], metric: str, row: str, *others: str
) -> tuple[ExpectedDifference, ...]:
    return tuple(ExpectedDifference(experiments, metric, row, other) for other in others)


CLAIMS: Sequence[Claim] = (
    Claim(
        "R comes close to V in translation; a fixed random table is clearly worse",
        "Table 2",
        (
            ExpectedDifference(_TRANSLATION, "bleu", "r", "v", 1.0),
            *_better(_TRANSLATION, "bleu", "r", "fix"),
        ),
    ),
    Claim(
        "mixtures with V beat V",
        "Tables 2 and 4",
        (
            *_better(_TRANSLATION, "bleu", "rv", "v"),
            *_better(_PRETRAINING, "log_perplexity", "rv", "v"),
            *_better(_PRETRAINING, "log_perplexity", "dv", "v"),
        ),
    ),
    Claim(
        "D is best in dialogue, and V is not needed there",
        "Table 3",
        _better(("table3_personachat",), "rouge_l", "d", "v", "r", "rv", "dv"),
    ),
    Claim(
        "without V pairs of sentences fail, single sentences hold",
        "Table 5",
        (
            ExpectedDifference(_GLUE, "glue_sst2/accuracy", "r", "v", 2.0),
            *_better(_GLUE, "glue_mrpc/accuracy", "v", "r"),
            *_better(_GLUE, "glue_rte/accuracy", "v", "r"),
            ExpectedDifference(("verses",), "synthesizer_testament_v001/accuracy", "r", "v", 2.0),
            *_better(("verses",), "synthesizer_same_verse_v001/accuracy", "v", "r"),
        ),
    ),
    Claim(
        "FR is as good as Linformer on encoders, and FR+V is best",
        "Table 7",
        (
            ExpectedDifference(("table7_imdb", "imdb_small"), "accuracy", "fr", "linformer", 0.5),
            *_better(("table7_imdb", "imdb_small"), "accuracy", "frv", "fr", "v", "linformer"),
            ExpectedDifference(("table7_ag_news",), "accuracy", "fr", "linformer", 0.5),
        ),
    ),
    Claim(
        "R learns a local window in language modeling",
        "Section 5",
        other_test="mtf_synthesizer maps --numbers (the column within ±w)",
    ),
    Claim(
        "attention over the encoder's output can't be replaced",
        "Section 4",
        _better(_TRANSLATION, "bleu", "v", "v cross/r.gin", "v cross/d.gin"),
    ),
    Claim(
        "R alone does not learn a lookup that V and D learn",
        "not in the paper",
        _better(("synthetic_lookup",), "exact_match", "v", "r")
        + _better(("synthetic_lookup",), "exact_match", "d", "r"),
    ),
    Claim(
        "a fitted R needs a fraction of the steps of a fresh one",
        "not in the paper",
        (ExpectedDifference(_TRANSLATION, "bleu", "r", "r", is_fitted=True),),
    ),
)


def test(claim: Claim, runs: Sequence[Run]) -> list[Verdict]:
    """Test every part of a statement."""
    return [_tested(part, runs) for part in claim.parts]


def together(verdicts: Iterable[Verdict]) -> str:
    """Return whether a statement holds: all of its parts, or not all."""
    outcomes = {tested.verdict for tested in verdicts}
    if FAILS in outcomes:
        return FAILS
    return HOLDS if outcomes == {HOLDS} else OPEN


def _tested(part: ExpectedDifference, runs: Sequence[Run]) -> Verdict:
    for experiment in part.experiments:
        of_experiment = [run for run in runs if run.experiment == experiment]
        fresh = _fresh(runs, experiment)
        others = _measured(fresh, part.other, part.metric)
        if part.is_fitted:
            fewest = min((run.steps or 0 for run, _ in others), default=0)
            started = [run for run in of_experiment if run.start and (run.steps or 0) < fewest]
            firsts = _measured(started, part.row, part.metric)
        else:
            firsts = _measured(fresh, part.row, part.metric)
        if firsts and others:
            first, other = ([value for _, value in found] for found in (firsts, others))
            verdict, p = _decide(part, first, other)
            shown = f"{_shown(part, part.row, firsts)}, {_shown(part, part.other, others)}"
            commands = [command for run, _ in (*firsts, *others) for command in run.commands]
            return Verdict(
                part, verdict, f"{experiment}: {shown}", p, tuple(dict.fromkeys(commands))
            )
    return Verdict(part, OPEN, "not run", None, ())


def _fresh(runs: Sequence[Run], experiment: str) -> list[Run]:
    """The runs of an experiment that start as the experiment does."""
    return [
        run
        for run in runs
        if run.experiment == experiment and (run.start is None or experiment in paper.STARTS)
    ]


def _measured(runs: Sequence[Run], row: str, metric: str) -> list[tuple[Run, float]]:
    """The runs of a row with their values of a metric; of several with one seed, the first."""
    task, _, name = metric.rpartition("/")
    found: dict[int, tuple[Run, float]] = {}
    for number, run in enumerate(runs):
        if run.row == row:
            values = [m[name] for key, m in run.tasks.items() if name in m and key.startswith(task)]
            if values:
                found.setdefault(-1 - number if run.seed is None else run.seed, (run, values[0]))
    return [*found.values()]


def _decide(
    part: ExpectedDifference, first: Sequence[float], other: Sequence[float]
) -> tuple[str, float | None]:
    """Test first > other - margin one-sided, and its opposite."""
    if len(first) < _SEEDS or len(other) < _SEEDS:
        return OPEN, None
    sign = -1 if part.metric.rpartition("/")[2] in _LOWER_IS_BETTER else 1
    above = [sign * value + part.margin for value in first]
    below = [sign * value for value in other]
    if math.isclose(statistics.pstdev(above) + statistics.pstdev(below), 0.0):
        return (HOLDS if above[0] > below[0] else FAILS), 0.0
    import scipy.stats  # takes a second, which the help of all commands would wait for

    with warnings.catch_warnings():  # about seeds with equal scores
        warnings.simplefilter("ignore", RuntimeWarning)
        test = scipy.stats.ttest_ind(above, below, equal_var=False, alternative="greater")
    p = float(test.pvalue)
    if p < _LEVEL:
        return HOLDS, p
    return (FAILS, 1 - p) if 1 - p < _LEVEL else (OPEN, p)


def _shown(part: ExpectedDifference, row: str, found: Sequence[tuple[Run, float]]) -> str:
    values = [value for _, value in found]
    spread = "" if len(values) < 2 else f" ± {statistics.stdev(values):.2f}"
    seeds = f"{len(values)} seed{'s' if len(values) > 1 else ''}"
    if part.is_fitted:
        steps = "/".join(map(str, sorted({run.steps or 0 for run, _ in found})))
        row = f"fitted {row}" if found[0][0].start else row
        seeds += f", {steps} steps"
    return f"{row} {statistics.fmean(values):.2f}{spread} ({seeds})"


def section(runs: Sequence[Run]) -> ReportSection:
    """The table of all statements."""
    rows, commands = [], list[str]()
    for claim in CLAIMS:
        verdicts = test(claim, runs)
        if not claim.parts:
            rows.append([claim.statement, OPEN, claim.other_test, NONE, claim.place])
            continue
        rows.append([claim.statement, together(verdicts), "", "", claim.place])
        for tested in verdicts:
            p = NONE if tested.p is None else _shown_p(tested.p)
            rows.append([f"· {_expected(tested.part)}", tested.verdict, tested.numbers, p, ""])
            commands += tested.commands
    return ReportSection(
        title="The paper's statements",
        heads=["statement, and · its parts", "verdict", "ours", "p", "paper"],
        rows=rows,
        notes=[
            f"A part holds, or does not hold, by a one-sided Welch test over at least {_SEEDS} "
            f"seeds of both rows at {_LEVEL}; otherwise it is not decided. A statement holds if "
            "all of its parts hold.",
        ],
        commands=list(dict.fromkeys(commands)),
        missing=_missing(runs),
    )


def _missing(runs: Sequence[Run]) -> list[str]:
    """The comparisons that the undecided parts need, of the smaller experiments.

    Three seeds of rows that have fewer, and the next three where these decided nothing.
    """
    rows: dict[str, dict[str, None]] = {}
    for claim in CLAIMS:
        for tested in test(claim, runs):
            if tested.verdict == OPEN and not tested.part.is_fitted:
                experiment = tested.part.experiments[-1]
                needed = dict.fromkeys((tested.part.other, tested.part.row))
                if experiment in paper.STARTS:
                    rows.setdefault(paper.STARTS[experiment], {}).update(needed)
                rows.setdefault(experiment, {}).update(needed)
    return [_comparison(experiment, names, runs) for experiment, names in rows.items()]


def _comparison(experiment: str, rows: Iterable[str], runs: Sequence[Run]) -> str:
    names = list(rows)
    fresh = _fresh(runs, experiment)
    counts = [len({run.seed for run in fresh if run.row == row}) for row in names]
    first = min(counts) if min(counts) >= _SEEDS else 0
    seeds = ",".join(map(str, range(first, first + _SEEDS)))
    start = paper.STARTS.get(experiment)
    return shlex.join(
        [
            *("mtf_synthesizer", "compare", "--experiment", experiment),
            *("--rows", ",".join(names), "--seeds", seeds),
            *_SPLITS.get(experiment, ()),
            *(("--init_checkpoint", f"runs/{start}") if start else ()),
            *(() if experiment in _WITHOUT_DATA else ("--tfds_data_dir", "data")),
            *("--output", f"runs/{experiment}"),
        ]
    )


def _shown_p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _expected(part: ExpectedDifference) -> str:
    metric = f"{part.experiments[0]}, {part.metric}"
    if part.is_fitted:
        return f"{metric}: fitted {part.row} with fewer steps better than {part.other}"
    if part.margin:
        return f"{metric}: {part.row} at most {part.margin:g} worse than {part.other}"
    return f"{metric}: {part.row} better than {part.other}"


def counts(runs: Sequence[Run]) -> Mapping[str, int]:
    """The number of statements of each verdict."""
    outcomes = [together(test(claim, runs)) if claim.parts else OPEN for claim in CLAIMS]
    return {verdict: outcomes.count(verdict) for verdict in (HOLDS, FAILS, OPEN)}
