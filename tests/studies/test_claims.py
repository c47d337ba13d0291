"""The paper's statements: verdicts by hand, and names that exist."""

import dataclasses
import shlex

import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.cli.commands import parser
from mtf_synthesizer.config import gin_files
from mtf_synthesizer.studies import variants
from mtf_synthesizer.studies.report import claims, scores
from mtf_synthesizer.studies.report.runs import Run

BLEU = {"r": (30.1, 30.3, 30.2), "v": (30.5, 30.9, 30.6), "fix": (21.0, 22.0, 20.5)}


def runs(values, experiment="multi30k_ende", metric="bleu", task="t"):
    return [
        Run(experiment, row, seed, 9, "test", {task: {metric: value}}, None, None, (f"run {row}",))
        for row, found in values.items()
        for seed, value in enumerate(found)
    ]


def verdicts(number, found):
    claim = claims.CLAIMS[number]
    tested = claims.test(claim, found)
    return [each.verdict for each in tested], claims.together(tested)


def test_a_statement_holds_if_all_its_parts_hold():
    """R within 1 BLEU of V, and fixed tables far behind."""
    assert verdicts(0, runs(BLEU)) == ([claims.HOLDS] * 2, claims.HOLDS)
    far = BLEU | {"r": (25.1, 25.3, 25.2)}
    assert verdicts(0, runs(far)) == ([claims.FAILS, claims.HOLDS], claims.FAILS)


def test_too_few_seeds_and_small_differences_decide_nothing():
    assert verdicts(0, runs({row: found[:2] for row, found in BLEU.items()}))[1] == claims.OPEN
    close = {"rv": (30.1, 31.0, 29.9), "v": (30.0, 30.9, 30.1)}
    assert verdicts(1, runs(close))[0][0] == claims.OPEN
    assert verdicts(1, [])[1] == claims.OPEN


def test_a_lower_perplexity_is_better():
    values = {"rv": (4.8, 4.81, 4.82), "dv": (4.95, 4.96, 4.97), "v": (4.9, 4.88, 4.89)}
    found = verdicts(1, runs(values, "c4_small", "log_perplexity"))[0]
    assert found == [claims.OPEN, claims.HOLDS, claims.FAILS]


def test_metrics_of_one_task_of_several():
    values = {"r": (50.0, 51.0, 49.0), "v": (60.0, 61.0, 59.0)}
    found = runs(values, "glue_small", "accuracy", "glue_rte_v002")
    assert verdicts(3, found)[0][:3] == [claims.OPEN, claims.OPEN, claims.HOLDS]


FIT = next(i for i, claim in enumerate(claims.CLAIMS) if "fitted" in claim.statement)


def fitted(values, steps):
    return [
        dataclasses.replace(run, start=f"runs/fitted/r_seed{run.seed}", steps=steps)
        for run in runs({"r": values}, "modern_english")
    ]


def test_fitted_models_with_fewer_steps_are_compared_with_fresh_ones():
    fresh = runs({"r": (28.0, 28.4, 28.2)}, "modern_english")
    assert verdicts(FIT, fresh + fitted((29.1, 29.0, 29.3), 3)) == ([claims.HOLDS], claims.HOLDS)
    assert verdicts(FIT, fresh + fitted((27.1, 27.0, 27.3), 3)) == ([claims.FAILS], claims.FAILS)
    assert verdicts(FIT, fresh + fitted((29.1, 29.0, 29.3), 9))[1] == claims.OPEN  # as many steps
    numbers = claims.test(claims.CLAIMS[FIT], fresh + fitted((29.1, 29.0, 29.3), 3))[0].numbers
    assert "fitted r 29.13 ± 0.15 (3 seeds, 3 steps), r 28.20 ± 0.20 (3 seeds, 9 steps)" in numbers


def test_models_that_start_from_others_are_no_fresh_models():
    values = {"v": (28.9, 29.0, 28.8), "fix": (20.0, 20.1, 20.2)}
    found = runs(values, "modern_english") + fitted((29.1, 29.0, 29.3), 3)
    assert verdicts(0, found)[1] == claims.OPEN


def test_models_that_start_from_others_are_rows_of_their_own():
    fresh = runs({"r": (28.0, 28.4, 28.2)}, "modern_english")
    found = fresh + fitted((29.1, 29.0, 29.3), 3)
    (table,) = scores.small([dataclasses.replace(run, start=run.start and "f") for run in found])
    labels = {row[0]: row[-1] for row in table.rows}
    assert labels.keys() == {"R", "r, from f"}
    assert labels["R"].startswith("28.20 ± 0.20") and labels["r, from f"].startswith("29.13")


def test_the_table_has_a_line_for_each_statement_and_part():
    table = claims.section(runs(BLEU))
    parts = sum(len(claim.parts) for claim in claims.CLAIMS)
    assert len(table.rows) == len(claims.CLAIMS) + parts
    assert table.rows[0][1] == claims.HOLDS and "r 30.20 ± 0.10 (3 seeds)" in table.rows[1][2]
    assert table.commands == ["run r", "run v", "run fix"]


def test_missing_runs_have_commands():
    commands = claims.section(runs(BLEU)).missing
    assert any("cross/r.gin" in each for each in commands)
    for command in commands:
        words = shlex.split(command)[1:]
        args = parser().parse_args(words)
        assert args.seeds == [0, 1, 2] and args.experiment in gin_files.known("experiments")
        for row in args.rows:
            variants.parse(row)


def test_further_seeds_are_asked_for_where_three_decided_nothing():
    close = runs({"r": (28.0, 29.4, 28.2), "v": (28.1, 29.9, 28.3)}, "modern_english")
    commands = [c for c in claims.section(close).missing if "modern_english" in c]
    assert "fix" in commands[0] and "--seeds 0,1,2" in commands[0]
    several = ("r", "v", "fix", "rv", "v cross/r.gin", "v cross/d.gin")
    close = runs(dict.fromkeys(several, (28.0, 29.4, 28.2)), "modern_english")
    (command,) = (c for c in claims.section(close).missing if "modern_english" in c)
    assert "--seeds 3,4,5" in command and "--tfds_data_dir" not in command


def test_runs_of_an_experiment_that_starts_from_models_count():
    """Its models and those that they start from get the same further seeds."""
    same = {"v": (55.0, 57.0, 56.0), "r": (56.0, 55.0, 57.0)}
    task, start = "synthesizer_same_verse_v001", "runs/verse_spans"
    found = [
        *runs(dict.fromkeys(("v", "r", "rv", "dv"), (3.77, 3.78, 3.76)), "verse_spans", "x"),
        *(dataclasses.replace(run, start=start) for run in runs(same, "verses", "accuracy", task)),
    ]
    missing = claims.section(found).missing
    (spans,) = (c for c in missing if "--experiment verse_spans" in c)
    (verses,) = (c for c in missing if "--experiment verses " in c)
    assert "--seeds 3,4,5" in spans and "--seeds 3,4,5" in verses


def test_a_seed_counts_once():
    """Also if two folders have it."""
    found = runs({"r": (28.0, 28.4), "v": (28.1, 28.3)}, "modern_english")
    assert verdicts(0, found + found)[0][0] == claims.OPEN
    assert "(2 seeds)" in claims.test(claims.CLAIMS[0], found + found)[0].numbers


def test_missing_models_to_start_from_are_trained_first():
    """By a command with the same rows; its folder is the start of the later one."""
    commands = [shlex.split(command)[1:] for command in claims.section([]).missing]
    read = [parser().parse_args(words) for words in commands]
    places = {args.output: number for number, args in enumerate(read)}
    started = [(number, args) for number, args in enumerate(read) if args.init_checkpoint]
    assert {args.experiment for _, args in started} == {"glue_small", "verses"}
    for number, args in started:
        before = places[args.init_checkpoint]
        assert before < number and set(args.rows) <= set(read[before].rows)


def test_experiments_and_rows_exist():
    for part in (part for claim in claims.CLAIMS for part in claim.parts):
        assert set(part.experiments) <= set(gin_files.known("experiments"))
        for row in (part.row, part.other):
            variant = variants.parse(row)
            gin_files.gin_file("synthesizers", variant.synthesizer)
            for file in variant.gin_files:
                gin_files.find_gin_file(file)


def test_varied_rows():
    rows = variants.varied(["v", "fr", "frv"], ["FactorizedRandom.rank=2,8"])
    assert rows == [
        "v",
        *("fr FactorizedRandom.rank=2", "fr FactorizedRandom.rank=8"),
        *("frv FactorizedRandom.rank=2", "frv FactorizedRandom.rank=8"),
    ]
    assert variants.folder_name(rows[1]) == "fr-rank-2"
    assert variants.parse(rows[1]).gin_params == ("FactorizedRandom.rank = 2",)
    assert variants.parse("v cross/r.gin minutes=10") == variants.Variant(
        "v", ("cross/r.gin",), (), 10.0
    )
    assert variants.varied(["v", "r"], ["d_model=64,128"])[-1] == "r d_model=128"


@pytest.mark.parametrize(
    ("rows", "vary", "message"),
    [
        (["v"], ["FactorizedRandom.rank=2"], "none of the rows v uses FactorizedRandom"),
        (["fr"], ["FactorizedRandom.rank"], "write a binding and its values"),
        (["fr"], ["FactorizedRandom.rank=2,,8"], "write a binding and its values"),
    ],
)
def test_variations_that_no_row_has_are_refused(rows, vary, message):
    with pytest.raises(errors.UserError, match=message):
        variants.varied(rows, vary)


def test_a_row_with_an_unknown_part_is_refused():
    with pytest.raises(errors.UserError, match="'rank' is neither a gin file nor a binding"):
        variants.parse("fr rank")
