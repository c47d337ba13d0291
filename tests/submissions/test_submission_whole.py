"""Submissions of whole benchmarks, as the servers want them, and the checker that says so."""

import json
import zipfile

import full_predictions
import pytest
import submission_checker
from submission_rows import MULTIRC, STSB, WSC, predictions, table

from mtf_synthesizer.data import catalogue
from mtf_synthesizer.submissions.archive import write
from mtf_synthesizer.submissions.glue import GLUE
from mtf_synthesizer.submissions.super_glue import SUPER_GLUE


@pytest.fixture(scope="module")
def zips(tmp_path_factory):
    """Both submissions at the official sizes."""
    folder = tmp_path_factory.mktemp("full")
    for benchmark, tasks in (
        (GLUE, full_predictions.GLUE),
        (SUPER_GLUE, full_predictions.SUPER_GLUE),
    ):
        path = folder / f"{benchmark.name}.zip"
        report = write(path, predictions(*tasks), benchmark)
        assert not report.absent
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["glue", "superglue"])
def test_the_official_format(zips, name):
    assert submission_checker.problems(name, zips / f"{name}.zip") == []


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
    import mtf_synthesizer.tasks  # isort: skip  # before T5's choose a vocabulary
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
