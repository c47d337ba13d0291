"""SuperGLUE's official files: formats and faults; the truth is TFDS's own parsing of them."""

import json

import pytest
from glue_files import (
    assert_fault_is_named,
    dataset,
    encoded,
    rows,
    tfds_builder,
    unpacked,
    written,
)
from tensorflow_datasets.text.super_glue import SuperGlue

PASSAGE = {
    "text": "Ann met Bob in Oslo. Bob was late.",
    "entities": [
        {"start": 0, "end": 2},
        {"start": 8, "end": 10},
        {"start": 15, "end": 18},
        {"start": 21, "end": 23},
    ],
}
RECORD = {
    "source": "Daily mail",
    "passage": PASSAGE,
    "qas": [
        {
            "query": "@placeholder came late.",
            "answers": [
                {"start": 21, "end": 23, "text": "Bob"},
                {"start": 8, "end": 10, "text": "Bob"},
            ],
            "idx": 11,
        },
        {
            "query": "It was in @placeholder.",
            "answers": [{"start": 15, "end": 18, "text": "Oslo"}],
            "idx": 7,
        },
    ],
    "idx": 3,
}
RECORD_TEST = {
    "passage": PASSAGE,
    "qas": [{"query": "@placeholder was early.", "idx": 0}],
    "idx": 0,
}
MULTIRC = {
    "idx": 5,
    "version": 1.1,
    "passage": {
        "text": "Force moves things.",
        "questions": [
            {
                "question": "What moves things?",
                "answers": [
                    {"text": "Force", "idx": 30, "label": 1},
                    {"text": "Nothing", "idx": 31, "label": 0},
                ],
                "idx": 2,
            },
            {"question": "Who?", "answers": [{"text": "I", "idx": 32, "label": 0}], "idx": 4},
        ],
    },
}


def without_labels(value):
    if isinstance(value, dict):
        return {key: without_labels(each) for key, each in value.items() if key != "label"}
    return [without_labels(each) for each in value] if isinstance(value, list) else value


def wsc(text, span1, index1, span2, index2, idx=0, **more):
    target = {
        "span1_text": span1,
        "span1_index": index1,
        "span2_text": span2,
        "span2_index": index2,
    }
    return {"text": text, "target": target, "idx": idx, **more}


WSC = [
    wsc("the dogs bark. She hears the Dogs.", "The dogs.", 0, "she", 3, idx=4, label=True),
    wsc("Kamenev met Zinoviev; they agreed.", "Kamenev and Zinoviev", 0, "they", 3, 5, label=False),
    wsc("The man theyscold left.", "The man", 0, "theyscold.", 2, 6, label=True),
    wsc("a black cat and it", "a black\ncat", 0, "it", 4, 7, label=False),
]
CB = {"premise": 'It was a "complex" language.', "hypothesis": "Language.", "idx": 0}
AXG = {"premise": "The nurse met him.", "hypothesis": "She did.", "idx": 1, "pair_id": 9}
AXB = {"sentence1": "The cat sat.", "sentence2": "It sat.", "idx": 0, "logic": "Negation"}
ENTAILED = {"label": "entailment"}

# Case -> configuration, file, split, objects: what the real files don't have.
INLINE = {
    "cb train": ("cb", "CB/train.jsonl", "train", [{**CB, "label": "neutral"}]),
    "cb test": ("cb", "CB/test.jsonl", "test", [CB]),
    "record train": ("record", "ReCoRD/train.jsonl", "train", [RECORD]),
    "record val": ("record", "ReCoRD/val.jsonl", "validation", [RECORD]),
    "record test": ("record", "ReCoRD/test.jsonl", "test", [RECORD_TEST]),
    "multirc": ("multirc", "MultiRC/train.jsonl", "train", [MULTIRC]),
    "multirc test": ("multirc", "MultiRC/test.jsonl", "test", [without_labels(MULTIRC)]),
    "wsc": ("wsc", "WSC/train.jsonl", "train", WSC),
    "wsc fixed": ("wsc.fixed", "WSC/train.jsonl", "train", WSC),
    "axg labelled": ("axg", "AX-g/AX-g.jsonl", "test", [{**AXG, "label": "not_entailment"}]),
    "axg": ("axg", "AX-g/AX-g.jsonl", "test", [AXG]),
    "axb labelled": ("axb", "AX-b/AX-b.jsonl", "test", [{**AXB, **ENTAILED}]),
    "axb": ("axb", "AX-b/AX-b.jsonl", "test", [AXB]),
}


def lines(objects):
    return "".join(json.dumps(each) + "\n" for each in objects)


def tfds_rows(configuration, path, split):
    builder = tfds_builder(SuperGlue, configuration)
    return [row for _, row in builder._generate_examples(path, split)]


def check_equal(configuration, found, expected):
    assert encoded(SuperGlue, configuration, found) == encoded(SuperGlue, configuration, expected)


@pytest.mark.parametrize("case", INLINE)
def test_rows_are_those_of_tensorflow_datasets(case, tmp_path):
    configuration, file, split, objects = INLINE[case]
    path = written(tmp_path / file, lines(objects))
    found = rows("superglue", configuration, split, tmp_path)
    assert found
    check_equal(configuration, found, tfds_rows(configuration, path, split))


def test_entities_and_answers_are_sorted_and_single(tmp_path):
    written(tmp_path / "ReCoRD/train.jsonl", lines([RECORD]))
    first, second = rows("superglue", "record", "train", tmp_path)
    assert first["entities"] == ["Ann", "Bob", "Oslo"]
    assert first["answers"] == ["Bob"]
    assert second["idx"] == {"passage": 3, "query": 7}


def test_spans_are_written_as_in_the_text(tmp_path):
    written(tmp_path / "WSC/val.jsonl", lines(WSC))
    found = rows("superglue", "wsc.fixed", "validation", tmp_path)
    assert [(row["span1_text"], row["span2_text"]) for row in found[:2]] == [
        ("the dogs", "She"),
        ("Kamenev and Zinoviev", "they"),
    ]


COPA = {"premise": "A", "choice1": "B", "choice2": "C", "question": "cause", "label": 1, "idx": 0}
WIC = {"word": "w", "sentence1": "a w", "sentence2": "w b", "label": True, "idx": 0}
PLACES = {"start1": 2, "end1": 3, "start2": 0, "end2": 1}
# Fault -> file, content, what the message says.
FAULTS = {
    "field": ("COPA/train.jsonl", lines([{"premise": "A"}]), ["line 1", "'choice1'", "premise"]),
    "label": ("COPA/train.jsonl", lines([COPA | {"label": 2}]), ["line 1", "label 2", "0, 1"]),
    "label text": ("CB/val.jsonl", lines([CB | {"label": "maybe"}]), ["'maybe'", "contradiction"]),
    "label list": ("CB/val.jsonl", lines([CB | {"label": []}]), ["line 1", "[]", "contradiction"]),
    "no label": ("CB/val.jsonl", lines([CB]), ["line 1", "no field 'label'"]),
    "no answers": ("ReCoRD/val.jsonl", lines([RECORD_TEST]), ["line 1", "'answers'"]),
    "type": ("WiC/train.jsonl", lines([WIC | PLACES | {"start2": "0"}]), ["start2", "'0'"]),
    "truth": ("CB/test.jsonl", lines([CB | {"idx": True}]), ["idx", "whole number", "True"]),
    "list": ("MultiRC/val.jsonl", lines([{"passage": [], "idx": 0}]), ["passage", "an object"]),
    "objects": (
        "MultiRC/val.jsonl",
        lines([{"passage": {"text": "", "questions": ["why"]}, "idx": 0}]),
        ["line 1", "questions", "list of objects"],
    ),
    "twice": ("CB/test.jsonl", lines([CB, CB]), ["line 2", "idx 0", "twice"]),
    "span": ("WSC/train.jsonl", lines([wsc("A b", "C", 9, "A", 0, label=True)]), ["'C'"]),
    "cut": ("RTE/test.jsonl", lines([CB, CB | {"idx": 1}])[:-25], ["line 2", "truncated"]),
    "array": ("RTE/test.jsonl", "[1]\n", ["line 1", "JSON object"]),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_is_named_with_file_and_line(case, tmp_path):
    assert_fault_is_named("superglue", tmp_path, *FAULTS[case])


FOLDERS = {
    "boolq": "BoolQ",
    "copa": "COPA",
    "multirc": "MultiRC",
    "rte": "RTE",
    "wic": "WiC",
    "wsc": "WSC",
    "wsc.fixed": "WSC",
}
FILES = {"train": "train.jsonl", "validation": "val.jsonl", "test": "test.jsonl"}


@pytest.fixture(scope="module")
def plain(shared_data, tmp_path_factory):
    return unpacked(shared_data / "superglue", tmp_path_factory.mktemp("superglue"))


@pytest.mark.parametrize("configuration", FOLDERS)
def test_real_files_give_the_rows_of_tensorflow_datasets(configuration, shared_data, plain):
    known = {split.name: split for split in dataset("superglue", configuration).splits}
    compared = 0
    for split, file in FILES.items():
        path = plain / FOLDERS[configuration] / file
        if path.exists():  # of some tasks only the validation split is among them
            found = rows("superglue", configuration, split, shared_data / "superglue")
            check_equal(configuration, found, tfds_rows(configuration, path, split))
            assert len(found) in known[split].counts
            compared += 1
    assert compared


@pytest.mark.parametrize("configuration", ["boolq", "multirc", "record", "wic"])
def test_real_training_rows(configuration, shared_data, plain):
    """32 rows of the official training files each."""
    few = shared_data / "superglue" / "fewglue_32"
    folder = {**FOLDERS, "record": "ReCoRD"}[configuration]
    expected = tfds_rows(configuration, plain / "fewglue_32" / folder / "train.jsonl", "train")
    found = rows("superglue", configuration, "train", few)
    assert len(found) >= 32
    check_equal(configuration, found, expected)
