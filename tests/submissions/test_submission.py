"""Submission zips: joined by identity, laid out as asked for; what is allowed on demand."""

import zipfile

import full_predictions
import pytest
import submission_checker
from submission_rows import COLA, STSB, WNLI, WSC, as_read, changed, predictions, table

from mtf_synthesizer import errors
from mtf_synthesizer.submissions.archive import replacements, write
from mtf_synthesizer.submissions.embedded import embedded
from mtf_synthesizer.submissions.glue import GLUE

EMBEDDED = embedded(
    {
        "synthesizer_testament_v001": 3,
        "synthesizer_same_verse_v001": 2,
        "synthesizer_modern_english_v001": 2,
    }
)


def embedded_rows():
    answers = {
        "synthesizer_testament_v001": ["old", "new", "old"],
        "synthesizer_same_verse_v001": ["other", "same"],
        "synthesizer_modern_english_v001": ["a\tb\nc", "d"],
    }
    return [
        {"task": task, "split": "test", "idx": idx, "output": text}
        for task, texts in answers.items()
        for idx, text in enumerate(texts)
    ]


def test_layout_of_a_table(tmp_path):
    write(tmp_path / "s.zip", as_read(embedded_rows()), EMBEDDED)
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        assert archive.namelist() == ["testament.tsv", "same_verse.tsv", "modern_english.tsv"]
        assert archive.read("testament.tsv") == b"index\tprediction\n0\told\n1\tnew\n2\told\n"
        assert archive.read("same_verse.tsv") == b"index\tprediction\n0\tother\n1\tsame\n"
        assert archive.read("modern_english.tsv") == b"index\tprediction\n0\ta b c\n1\td\n"
    assert [path.name for path in tmp_path.iterdir()] == ["s.zip"]


def test_order_of_lines_does_not_matter(tmp_path):
    rows = as_read(embedded_rows())
    write(tmp_path / "a.zip", rows, EMBEDDED)
    write(tmp_path / "b.zip", rows[::-1], EMBEDDED)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_zip_that_is_there_is_kept(tmp_path):
    path = tmp_path / "s.zip"
    path.write_bytes(b"mine")
    rows = as_read(embedded_rows())
    with pytest.raises(errors.UserError, match=r"s\.zip exists.*--overwrite"):
        write(path, rows, EMBEDDED)
    assert path.read_bytes() == b"mine"
    write(path, rows, EMBEDDED, overwrite=True)
    assert zipfile.is_zipfile(path)


# What is allowed on demand ---------------------------------------------------------------------


def test_files_may_be_left_out(tmp_path):
    path = tmp_path / "s.zip"
    report = write(path, predictions(WNLI, STSB, WSC), GLUE, partial=True)
    absent = {file.name for file in GLUE.files} - {"WNLI.tsv", "STS-B.tsv"}
    assert set(report.absent) == absent
    assert submission_checker.problems("glue", path, absent) == []
    assert all(name in str(report).splitlines()[-1] for name in absent)


def test_an_answer_for_what_is_none(tmp_path):
    path = tmp_path / "s.zip"
    rows = [*changed(COLA, 8, output="accept"), *changed(WNLI, 5, prediction=-1)]
    rows += [row | {"output": "?"} for row in full_predictions.of("glue_rte_v002")[:7]]
    rows += full_predictions.of("glue_rte_v002")[7:]
    invalid = ["not_entailment", "glue_wnli_v002_simple_eval=entailment", "CoLA=1"]
    report = write(path, as_read(rows), GLUE, partial=True, invalid=invalid)
    assert {each.file.stem: each.replaced for each in report.files} == {
        "CoLA": 1,
        "RTE": 7,
        "WNLI": 1,
    }
    assert table(path, "CoLA.tsv")["8"] == "1"
    assert table(path, "WNLI.tsv")["5"] == "1"  # the special answer, not the general one
    replaced = [row["idx"] for row in full_predictions.of("glue_rte_v002")[:7]]
    assert {table(path, "RTE.tsv")[str(idx)] for idx in replaced} == {"not_entailment"}
    assert "7 not an answer, replaced" in str(report)


def test_zero_is_an_answer(tmp_path):
    path = tmp_path / "s.zip"
    rows = [*changed(COLA, 8, output="?"), *changed(STSB, 8, output="?")]
    invalid = ["unacceptable", "sts-b=0"]
    write(path, as_read(rows), GLUE, partial=True, invalid=invalid)
    assert table(path, "CoLA.tsv")["8"] == "0"
    assert table(path, "STS-B.tsv")["8"] == "0.000"


@pytest.mark.parametrize(
    ("invalid", "message"),
    [
        (
            "entailed",
            r"'entailed' is not an answer. Known: CoLA: unacceptable, acceptable; .*0 to 5",
        ),
        (
            "CoLA=entailment",
            r"'entailment' is not an answer. Known: CoLA: unacceptable, acceptable$",
        ),
        ("STS-B=6", r"'6' is not an answer. Known: STS-B: 0 to 5"),
        ("CoLLA=0", r"unknown task of glue 'CoLLA'. Did you mean 'CoLA'"),
    ],
)
def test_an_answer_that_is_none_is_refused(invalid, message):
    with pytest.raises(errors.UserError, match=message):
        replacements(GLUE, [invalid])


def test_a_file_that_several_tasks_fill_is_listed_once():
    with pytest.raises(errors.UserError) as error:
        replacements(GLUE, ["xyz"])
    assert str(error.value).count("WNLI: ") == 1


def test_similarities_are_clipped_and_counted(tmp_path):
    path = tmp_path / "s.zip"
    rows = changed(STSB, 3, output="5.2")
    outputs = {4: "-1", 5: "5", 6: "1e300", 7: " 2.25 "}
    rows = [
        row | ({"output": outputs[row["idx"]]} if row["idx"] in outputs else {}) for row in rows
    ]
    report = write(path, as_read(rows), GLUE, partial=True)
    found = table(path, "STS-B.tsv")
    assert [found[str(i)] for i in range(3, 8)] == ["5.000", "0.000", "5.000", "5.000", "2.250"]
    assert report.files[0].clipped == 3
    assert "3 clipped" in str(report)


def test_each_task_may_have_a_model_of_its_own(tmp_path):
    rows = [row | {"step": 5} for row in full_predictions.of(WNLI)]
    rows += full_predictions.of(COLA)
    with pytest.raises(errors.UserError, match=r"2 checkpoints.*--mixed_checkpoints"):
        write(tmp_path / "s.zip", as_read(rows), GLUE, partial=True)
    write(tmp_path / "s.zip", as_read(rows), GLUE, partial=True, mixed_checkpoints=True)


def test_other_tasks_may_come_from_anywhere(tmp_path):
    rows = [row | {"step": 5} for row in full_predictions.of(WSC)] + full_predictions.of(WNLI)
    write(tmp_path / "s.zip", as_read(rows), GLUE, partial=True)


def test_wnli_by_its_own_labels(tmp_path):
    rows = [
        row | {"task": "glue_wnli_v002", "output": ("not_entailment", "entailment")[row["idx"] % 2]}
        for row in full_predictions.of(WNLI)
    ]
    write(tmp_path / "s.zip", as_read(rows), GLUE, partial=True)
    assert table(tmp_path / "s.zip", "WNLI.tsv") == {str(i): str(i % 2) for i in range(146)}
