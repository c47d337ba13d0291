"""Submissions are refused when anything is wrong, and all of it is said."""

import full_predictions
import pytest
from submission_rows import COLA, MULTIRC, STSB, WNLI, as_read, changed, without

from mtf_synthesizer import errors
from mtf_synthesizer.submissions import archive
from mtf_synthesizer.submissions.glue import GLUE
from mtf_synthesizer.submissions.super_glue import SUPER_GLUE

REFUSED = {
    "missing": (WNLI, lambda: without(WNLI, 17), r"WNLI\.tsv.*: 1 of 146 .*no prediction: idx 17"),
    "none at all": (WNLI, lambda: [], r"WNLI\.tsv: no predictions of glue_wnli.*--partial"),
    "doubled": (
        WNLI,
        lambda: [*full_predictions.of(WNLI), changed(WNLI, 5)[0]],
        r"1 of 146 examples have several predictions: idx \d+ "
        r"\(p\.jsonl: line \d+ and p\.jsonl: line 147\)\. Predict the whole",
    ),
    "extra": (
        WNLI,
        lambda: [*full_predictions.of(WNLI), {**full_predictions.of(WNLI)[0], "idx": 146}],
        r"1 of no example, as idx goes from 0 to 145: idx 146 \(p\.jsonl: line 147\)",
    ),
    "negative": (WNLI, lambda: changed(WNLI, 3, idx=-1), r"idx 3; 1 of no example.*idx -1"),
    "another's identity": (
        WNLI,
        lambda: changed(WNLI, 3, idx=4),
        r"1 of 146 .*idx 3; 1 of 146 examples have several predictions: idx 4",
    ),
    "no identity": (WNLI, lambda: changed(WNLI, 3, idx=None), r"idx must be a whole number"),
    "truth as identity": (WNLI, lambda: changed(WNLI, 1, idx=True), r"whole number, not True"),
    "nothing decoded": (WNLI, lambda: changed(WNLI, 3, prediction=-1), r"1 of 146 .*not answers"),
    "number as verdict": (WNLI, lambda: changed(WNLI, 3, prediction=1.0), r"not answers"),
    "unknown label": (
        COLA,
        lambda: changed(COLA, 8, output="accept"),
        r"CoLA.*1 of 1063 decoded texts are not answers: 'accept' \(p\.jsonl: line \d+\); "
        r"allowed: unacceptable, acceptable.*--invalid CoLA=",
    ),
    "long text": (
        COLA,
        lambda: changed(COLA, 8, output="x" * 31),
        rf"not answers: '{'x' * 30}'\.\.\. \(p\.jsonl: line \d+\); ",
    ),
    "number as label": (COLA, lambda: changed(COLA, 8, output="1"), r"not answers: '1'"),
    "no number": (STSB, lambda: changed(STSB, 8, output="3,4"), r"not answers: '3,4'.*0 to 5"),
    "not a number": (STSB, lambda: changed(STSB, 8, output="nan"), r"not answers: 'nan'"),
    "Python's own number": (STSB, lambda: changed(STSB, 8, output="1_0"), r"not answers: '1_0'"),
    "full-width digits": (
        STSB,
        lambda: changed(STSB, 8, output="\uff13.\uff14"),
        "not answers: '\uff13.\uff14'",
    ),
    "endless": (STSB, lambda: changed(STSB, 8, output="inf"), r"not answers: 'inf'"),
    "another split": (WNLI, lambda: changed(WNLI, 3, split="validation"), r"'validation'.*'test'"),
    "another step": (WNLI, lambda: changed(WNLI, 3, step=1400), r"2 checkpoints.*step 1[34]00"),
    "another model": (WNLI, lambda: changed(WNLI, 3, checkpoint="x"), r"2 checkpoints.*kpoint x"),
    "two tasks": (
        WNLI,
        lambda: changed(WNLI, 3, task="glue_wnli_v002"),
        r"predictions of glue_wnli_v002 and of glue_wnli_v002_simple_eval",
    ),
    "MultiRC: missing": (MULTIRC, lambda: without(MULTIRC, 9692), r"1 of 9693.*idx/answer 9692"),
    "MultiRC: passages": (
        MULTIRC,
        lambda: changed(MULTIRC, 0, **{"idx/paragraph": 200}),
        r"idx/paragraph has 167 values, but the official test set has 166",
    ),
    "MultiRC: no question": (
        MULTIRC,
        lambda: changed(MULTIRC, 0, **{"idx/question": "0"}),
        r"idx/question must be a whole number, not '0'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(tmp_path, case):
    task, rows, message = REFUSED[case]
    benchmark = SUPER_GLUE if task.startswith("super") else GLUE
    (file,) = (file for file in benchmark.files if task in file.tasks)
    alone = type(benchmark)(benchmark.name, (file,))
    with pytest.raises(errors.UserError, match=message):
        archive.write(tmp_path / "s.zip", as_read(rows()), alone)
    assert not list(tmp_path.iterdir())


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    rows = [*without(WNLI, 2), *changed(COLA, 0, output="?", step=7)]
    with pytest.raises(errors.UserError) as caught:
        archive.write(tmp_path / "s.zip", as_read(rows), GLUE, partial=True)
    lines = str(caught.value).splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["CoLA.tsv", "WNLI.tsv"]
    assert lines[3].startswith("  the predictions come from 2 checkpoints: step 1300")
    with pytest.raises(errors.UserError) as caught:
        archive.write(tmp_path / "s.zip", as_read(rows), GLUE)
    assert len(str(caught.value).splitlines()) == 1 + 11 + 1
    with pytest.raises(errors.UserError, match="no predictions of any task of glue"):
        archive.write(tmp_path / "s.zip", [], GLUE, partial=True)


def test_only_the_first_offenders_are_shown(tmp_path):
    rows = [row for row in full_predictions.of(WNLI) if row["idx"] % 2]
    with pytest.raises(errors.UserError, match=r"73 of 146 .*idx 0, idx 2, idx 4 and 70 more\."):
        archive.write(tmp_path / "s.zip", as_read(rows), GLUE, partial=True)


def test_a_task_in_two_places(tmp_path):
    rows = as_read(full_predictions.of(WNLI))
    again = [each._replace(file=tmp_path / "again.jsonl") for each in rows]
    with pytest.raises(errors.UserError) as caught:
        archive.write(tmp_path / "s.zip", [*rows, *again], GLUE, partial=True)
    message = str(caught.value)
    assert "146 of 146 examples have several predictions" in message
    assert message.endswith(f"Give the task once, not in {tmp_path}/again.jsonl and in p.jsonl")
