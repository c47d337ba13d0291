"""Submission zips: joined by identity, refused when anything is wrong, as the servers want them."""

import json
import pathlib
import zipfile

import full_predictions
import pytest
import submission_checker

from mtf_synthesizer import names, submission
from mtf_synthesizer.data import catalogue
from mtf_synthesizer.embedded_submission import embedded
from mtf_synthesizer.glue_submission import GLUE
from mtf_synthesizer.prediction_files import Prediction
from mtf_synthesizer.super_glue_submission import SUPER_GLUE

COLA, STSB, WNLI = "glue_cola_v002", "glue_stsb_v002", "glue_wnli_v002_simple_eval"
WSC, MULTIRC = "super_glue_wsc_v102_simple_eval", "super_glue_multirc_v102"
EMBEDDED = embedded(
    {
        "synthesizer_testament_v001": 3,
        "synthesizer_same_verse_v001": 2,
        "synthesizer_modern_english_v001": 2,
    }
)


def predictions(*tasks):
    """Those of full_predictions as they are read from a file."""
    rows = [row for task in tasks for row in full_predictions.of(task)]
    return as_read(rows)


def as_read(rows):
    return [Prediction(pathlib.Path("p.jsonl"), i, row) for i, row in enumerate(rows, start=1)]


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
    submission.write(tmp_path / "s.zip", as_read(embedded_rows()), EMBEDDED)
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        assert archive.namelist() == ["testament.tsv", "same_verse.tsv", "modern_english.tsv"]
        assert archive.read("testament.tsv") == b"index\tprediction\n0\told\n1\tnew\n2\told\n"
        assert archive.read("same_verse.tsv") == b"index\tprediction\n0\tother\n1\tsame\n"
        assert archive.read("modern_english.tsv") == b"index\tprediction\n0\ta b c\n1\td\n"
    assert [path.name for path in tmp_path.iterdir()] == ["s.zip"]


def test_order_of_lines_does_not_matter(tmp_path):
    rows = as_read(embedded_rows())
    submission.write(tmp_path / "a.zip", rows, EMBEDDED)
    submission.write(tmp_path / "b.zip", rows[::-1], EMBEDDED)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_zip_that_is_there_is_kept(tmp_path):
    path = tmp_path / "s.zip"
    path.write_bytes(b"mine")
    rows = as_read(embedded_rows())
    with pytest.raises(names.UserError, match=r"s\.zip exists.*--overwrite"):
        submission.write(path, rows, EMBEDDED)
    assert path.read_bytes() == b"mine"
    submission.write(path, rows, EMBEDDED, overwrite=True)
    assert zipfile.is_zipfile(path)


# The whole benchmarks --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def zips(tmp_path_factory):
    """Both submissions at the official sizes."""
    folder = tmp_path_factory.mktemp("full")
    for benchmark, tasks in (
        (GLUE, full_predictions.GLUE),
        (SUPER_GLUE, full_predictions.SUPER_GLUE),
    ):
        path = folder / f"{benchmark.name}.zip"
        report = submission.write(path, predictions(*tasks), benchmark)
        assert not report.absent
    return folder


@pytest.mark.parametrize("name", ["glue", "superglue"])
def test_the_official_format(zips, name):
    assert submission_checker.problems(name, zips / f"{name}.zip") == []


def table(path, name):
    with zipfile.ZipFile(path) as archive:
        lines = archive.read(name).decode("utf-8").splitlines()
    return dict(line.split("\t") for line in lines[1:])


def labels(path, name):
    with zipfile.ZipFile(path) as archive:
        rows = [json.loads(line) for line in archive.read(name).splitlines()]
    return {row["idx"]: row["label"] for row in rows}


def test_every_glue_example_has_its_own_answer(zips):
    """By the rule that full_predictions decoded them by, with the texts the server wants."""
    official = {
        "CoLA.tsv": "01",
        "SST-2.tsv": "01",
        "MRPC.tsv": "01",
        "QQP.tsv": "01",
        "WNLI.tsv": "01",
        "STS-B.tsv": ("0.000", "3.400", "5.000"),
        "RTE.tsv": ("entailment", "not_entailment"),
        "QNLI.tsv": ("entailment", "not_entailment"),
        "MNLI-m.tsv": ("entailment", "neutral", "contradiction"),
        "MNLI-mm.tsv": ("entailment", "neutral", "contradiction"),
        "AX.tsv": ("entailment", "neutral", "contradiction"),
    }
    for name, texts in official.items():
        for index, answer in table(zips / "glue.zip", name).items():
            assert answer == texts[int(index) * 7 // 3 % len(texts)]


def test_every_superglue_example_has_its_own_answer(zips):
    official = {
        "BoolQ.jsonl": ("false", "true"),
        "CB.jsonl": ("entailment", "contradiction", "neutral"),
        "COPA.jsonl": (0, 1),
        "RTE.jsonl": ("entailment", "not_entailment"),
        "WiC.jsonl": ("false", "true"),
        "WSC.jsonl": ("False", "True"),
        "AX-b.jsonl": ("entailment", "not_entailment"),
        "AX-g.jsonl": ("entailment", "not_entailment"),
    }
    for name, texts in official.items():
        for idx, answer in labels(zips / "superglue.zip", name).items():
            assert answer == texts[idx * 7 // 3 % len(texts)]
    for query, entity in labels(zips / "superglue.zip", "ReCoRD.jsonl").items():
        assert entity == f"Entität {query % 97}"


def test_multirc_is_nested_as_its_data(zips):
    with zipfile.ZipFile(zips / "superglue.zip") as archive:
        passages = [json.loads(line) for line in archive.read("MultiRC.jsonl").splitlines()]
    found = {
        (passage["idx"], question["idx"], answer["idx"]): answer["label"]
        for passage in passages
        for question in passage["passage"]["questions"]
        for answer in question["answers"]
    }
    rows = full_predictions.of(MULTIRC)
    assert found == {
        (row["idx/paragraph"], row["idx/question"], row["idx/answer"]): row["prediction"]["value"]
        for row in rows
    }


@pytest.mark.parametrize("benchmark", [GLUE, SUPER_GLUE], ids=lambda benchmark: benchmark.name)
def test_tasks_and_labels_are_those_of_t5(benchmark):
    """Every task is registered, and its labels are all that T5 trains it to decode."""
    import mtf_synthesizer.tasks  # noqa: F401  isort: skip
    import seqio
    import t5.data.tasks  # noqa: F401
    import tensorflow_datasets as tfds

    builders = {
        "glue": tfds.text.glue.Glue.builder_configs,
        "superglue": tfds.text.super_glue.SuperGlue.builder_configs,
    }[benchmark.name]
    published = {
        each.tfds_name: split.published
        for each in catalogue.datasets(benchmark.name)
        for split in each.splits
        if split.name == "test"
    }
    for file in benchmark.files:
        for name, answers in file.tasks.items():
            data_set = seqio.TaskRegistry.get(name).source.tfds_dataset.name
            assert file.identities.count == published[data_set]
            assert data_set.split("/")[0].replace("_", "") == benchmark.name
            if name not in (STSB, WSC, "super_glue_record_v102"):
                config = data_set.split("/")[1].split(":")[0]
                assert set(answers.official) == set(builders[config].label_classes)


# What is refused -------------------------------------------------------------------------------


def without(task, index):
    return [row for row in full_predictions.of(task) if row["index"] != index]


def changed(task, index, /, **fields):
    return [row | (fields if row["index"] == index else {}) for row in full_predictions.of(task)]


REFUSED = {
    "missing": (WNLI, lambda: without(WNLI, 17), r"WNLI\.tsv.*: 1 of 146 .*no prediction: idx 17"),
    "none at all": (WNLI, lambda: [], r"WNLI\.tsv: no predictions of glue_wnli.*--partial"),
    "doubled": (
        WNLI,
        lambda: [*full_predictions.of(WNLI), changed(WNLI, 5)[0]],
        r"1 examples have another one: idx \d+ \(p\.jsonl: line 147\)",
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
        r"1 of 146 .*idx 3; 1 examples have another one: idx 4",
    ),
    "no identity": (WNLI, lambda: changed(WNLI, 3, idx=None), r"idx must be a whole number"),
    "truth as identity": (WNLI, lambda: changed(WNLI, 1, idx=True), r"whole number, not True"),
    "nothing decoded": (WNLI, lambda: changed(WNLI, 3, prediction=-1), r"1 of 146 .*no answer"),
    "number as verdict": (WNLI, lambda: changed(WNLI, 3, prediction=1.0), r"no answer"),
    "unknown label": (
        COLA,
        lambda: changed(COLA, 8, output="accept"),
        r"CoLA.*1 of 1063 decoded texts are no answer: 'accept' \(p\.jsonl: line \d+\); "
        r"allowed: unacceptable, acceptable.*--invalid CoLA=",
    ),
    "long text": (
        COLA,
        lambda: changed(COLA, 8, output="x" * 31),
        rf"no answer: '{'x' * 30}'\.\.\. \(p\.jsonl: line \d+\); ",
    ),
    "number as label": (COLA, lambda: changed(COLA, 8, output="1"), r"no answer: '1'"),
    "no number": (STSB, lambda: changed(STSB, 8, output="3,4"), r"no answer: '3,4'.*0 to 5"),
    "not a number": (STSB, lambda: changed(STSB, 8, output="nan"), r"no answer: 'nan'"),
    "endless": (STSB, lambda: changed(STSB, 8, output="inf"), r"no answer: 'inf'"),
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
        r"idx/paragraph has 167 values, the official test set 166",
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
    with pytest.raises(names.UserError, match=message):
        submission.write(tmp_path / "s.zip", as_read(rows()), alone)
    assert not list(tmp_path.iterdir())


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    rows = [*without(WNLI, 2), *changed(COLA, 0, output="?")]
    with pytest.raises(names.UserError) as caught:
        submission.write(tmp_path / "s.zip", as_read(rows), GLUE, partial=True)
    lines = str(caught.value).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["CoLA.tsv", "WNLI.tsv"]
    with pytest.raises(names.UserError) as caught:
        submission.write(tmp_path / "s.zip", as_read(rows), GLUE)
    assert len(str(caught.value).splitlines()) == 1 + 11
    with pytest.raises(names.UserError, match="no predictions of any task of glue"):
        submission.write(tmp_path / "s.zip", [], GLUE, partial=True)


def test_only_the_first_offenders_are_shown(tmp_path):
    rows = [row for row in full_predictions.of(WNLI) if row["idx"] % 2]
    with pytest.raises(names.UserError, match=r"73 of 146 .*idx 0, idx 2, idx 4 and 70 more\."):
        submission.write(tmp_path / "s.zip", as_read(rows), GLUE, partial=True)


# What is allowed on demand ---------------------------------------------------------------------


def test_files_may_be_left_out(tmp_path):
    path = tmp_path / "s.zip"
    report = submission.write(path, predictions(WNLI, STSB, WSC), GLUE, partial=True)
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
    report = submission.write(path, as_read(rows), GLUE, partial=True, invalid=invalid)
    assert {each.file.stem: each.replaced for each in report.files} == {
        "CoLA": 1,
        "RTE": 7,
        "WNLI": 1,
    }
    assert table(path, "CoLA.tsv")["8"] == "1"
    assert table(path, "WNLI.tsv")["5"] == "1"  # the special answer, not the general one
    replaced = [row["idx"] for row in full_predictions.of("glue_rte_v002")[:7]]
    assert {table(path, "RTE.tsv")[str(idx)] for idx in replaced} == {"not_entailment"}
    assert "7 no answer, replaced" in str(report)


def test_zero_is_an_answer(tmp_path):
    path = tmp_path / "s.zip"
    rows = [*changed(COLA, 8, output="?"), *changed(STSB, 8, output="?")]
    invalid = ["unacceptable", "sts-b=0"]
    submission.write(path, as_read(rows), GLUE, partial=True, invalid=invalid)
    assert table(path, "CoLA.tsv")["8"] == "0"
    assert table(path, "STS-B.tsv")["8"] == "0.000"


@pytest.mark.parametrize(
    ("invalid", "message"),
    [
        ("entailed", r"'entailed' is no answer. Known: CoLA: unacceptable, acceptable; .*0 to 5"),
        ("CoLA=entailment", r"'entailment' is no answer. Known: CoLA: unacceptable, acceptable$"),
        ("STS-B=6", r"'6' is no answer. Known: STS-B: 0 to 5"),
        ("CoLLA=0", r"unknown task of glue 'CoLLA'. Did you mean 'CoLA'"),
    ],
)
def test_an_answer_that_is_none_is_refused(invalid, message):
    with pytest.raises(names.UserError, match=message):
        submission.replacements(GLUE, [invalid])


def test_similarities_are_clipped_and_counted(tmp_path):
    path = tmp_path / "s.zip"
    rows = changed(STSB, 3, output="5.2")
    outputs = {4: "-1", 5: "5", 6: "1e300", 7: " 2.25 "}
    rows = [
        row | ({"output": outputs[row["idx"]]} if row["idx"] in outputs else {}) for row in rows
    ]
    report = submission.write(path, as_read(rows), GLUE, partial=True)
    found = table(path, "STS-B.tsv")
    assert [found[str(i)] for i in range(3, 8)] == ["5.000", "0.000", "5.000", "5.000", "2.250"]
    assert report.files[0].clipped == 3
    assert "3 clipped" in str(report)


def test_each_task_may_have_a_model_of_its_own(tmp_path):
    rows = [row | {"step": 5} for row in full_predictions.of(WNLI)]
    rows += full_predictions.of(COLA)
    with pytest.raises(names.UserError, match=r"2 checkpoints.*--mixed_checkpoints"):
        submission.write(tmp_path / "s.zip", as_read(rows), GLUE, partial=True)
    submission.write(tmp_path / "s.zip", as_read(rows), GLUE, partial=True, mixed_checkpoints=True)


def test_other_tasks_may_come_from_anywhere(tmp_path):
    rows = [row | {"step": 5} for row in full_predictions.of(WSC)] + full_predictions.of(WNLI)
    submission.write(tmp_path / "s.zip", as_read(rows), GLUE, partial=True)


def test_wnli_by_its_own_labels(tmp_path):
    rows = [
        row | {"task": "glue_wnli_v002", "output": ("not_entailment", "entailment")[row["idx"] % 2]}
        for row in full_predictions.of(WNLI)
    ]
    submission.write(tmp_path / "s.zip", as_read(rows), GLUE, partial=True)
    assert table(tmp_path / "s.zip", "WNLI.tsv") == {str(i): str(i % 2) for i in range(146)}


# The checker itself ----------------------------------------------------------------------------


def complaints(benchmark, source, folder, name, change):
    """What the checker says of a zip with one of the files, changed; None leaves it out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(folder / "s.zip", "w") as new:
        text = change(old.read(name).decode("utf-8"))
        if text is not None:
            new.writestr(name, text)
        others = {*old.namelist()} - {name}
    return submission_checker.problems(benchmark, folder / "s.zip", others)


CORRUPTIONS = {
    "file": ("glue", "AX.tsv", lambda text: None),
    "header": ("glue", "AX.tsv", lambda text: text.replace("index", "id", 1)),
    "no header": ("glue", "AX.tsv", lambda text: text.split("\n", 1)[1]),
    "row": (
        "glue",
        "QQP.tsv",
        lambda text: text.replace("390964\t1\n", "").replace("390964\t0\n", ""),
    ),
    "order": (
        "glue",
        "RTE.tsv",
        lambda text: (
            text.replace("\n7\t", "\nx\t").replace("\n8\t", "\n7\t").replace("\nx\t", "\n8\t")
        ),
    ),
    "label": ("glue", "MNLI-m.tsv", lambda text: text.replace("neutral", "neither", 1)),
    "word": ("glue", "CoLA.tsv", lambda text: text.replace("\t1", "\tacceptable", 1)),
    "range": ("glue", "STS-B.tsv", lambda text: text.replace("5.000", "5.001", 1)),
    "line end": ("glue", "WNLI.tsv", lambda text: text.replace("\n", "\r\n")),
    "last line end": ("glue", "WNLI.tsv", str.rstrip),
    "third cell": ("glue", "WNLI.tsv", lambda text: text.replace("\t1", "\t1\t", 1)),
    "truth": ("superglue", "BoolQ.jsonl", lambda text: text.replace('"true"', "true", 1)),
    "capital": ("superglue", "WSC.jsonl", lambda text: text.replace("True", "true", 1)),
    "digit": ("superglue", "COPA.jsonl", lambda text: text.replace(": 1}", ': "1"}', 1)),
    "text idx": ("superglue", "CB.jsonl", lambda text: text.replace('"idx": 3,', '"idx": "3",')),
    "key": ("superglue", "RTE.jsonl", lambda text: text.replace("label", "prediction", 1)),
    "passage": ("superglue", "MultiRC.jsonl", lambda text: text.split("\n", 1)[1]),
    "nesting": ("superglue", "MultiRC.jsonl", lambda text: text.replace('"passage"', '"text"', 1)),
    "answer": (
        "superglue",
        "MultiRC.jsonl",
        lambda text: text.replace('{"idx": 100, "label": 1}, ', "").replace(
            '{"idx": 100, "label": 0}, ', ""
        ),
    ),
    "answer label": (
        "superglue",
        "MultiRC.jsonl",
        lambda text: text.replace('"label": 1', '"label": "1"', 1),
    ),
    "entity": (
        "superglue",
        "ReCoRD.jsonl",
        lambda text: text.replace('"Entit\\u00e4t 5"', "5", 1),
    ),
}


@pytest.mark.parametrize("case", CORRUPTIONS)
def test_the_checker_sees_every_corruption(zips, tmp_path, case):
    benchmark, name, change = CORRUPTIONS[case]
    found = complaints(benchmark, zips / f"{benchmark}.zip", tmp_path, name, change)
    assert found
    assert name in found[0]


def test_the_checker_accepts_a_copy(zips, tmp_path):
    source = zips / "superglue.zip"
    assert not complaints("superglue", source, tmp_path, "RTE.jsonl", lambda text: text)
