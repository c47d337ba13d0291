"""SQuAD 1.1 and definite pronoun resolution."""

import json

import pytest
from small_files import published, read, write

from mtf_synthesizer.data.questions import DPR, SQUAD
from mtf_synthesizer.data.spec import DataError

CONTEXT = "Super Bowl 50 was an American football game."
SQUAD_FILE = {
    "version": "1.1",
    "data": [
        {
            "title": "Super_Bowl_50",
            "paragraphs": [
                {
                    "context": CONTEXT,
                    "qas": [
                        {
                            "id": "56be4db0acb8001400a502ec",
                            "question": "What was it?",
                            "answers": [
                                {"answer_start": 18, "text": "an American football game"},
                                {"answer_start": 21, "text": "American football game"},
                            ],
                        },
                        {
                            "id": "56be4db0acb8001400a502ed",
                            "question": "Which?",
                            "answers": [{"answer_start": 11, "text": "50"}],
                        },
                    ],
                }
            ],
        }
    ],
}


def test_squad(tmp_path):
    write(tmp_path, "dev-v1.1.json", *json.dumps(SQUAD_FILE, indent=1).split("\n"))
    first, second = read(SQUAD, tmp_path)["validation"]
    assert first == {
        "id": "56be4db0acb8001400a502ec",
        "title": "Super_Bowl_50",
        "context": CONTEXT,
        "question": "What was it?",
        "answers": {
            "text": ["an American football game", "American football game"],
            "answer_start": [18, 21],
        },
    }
    assert second["answers"] == {"text": ["50"], "answer_start": [11]}
    assert published(SQUAD) == {"train": 87_599, "validation": 10_570}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"data": [{"title": "a"}]}', "no field 'paragraphs'.*SQuAD 1.1 is nested"),
        ('{"data": [{"title": "a", ', "not JSON .*line 1 column .*truncated"),
        ("[1]", "expected a JSON object. SQuAD 1.1 is nested"),
        ('{"data": [{"paragraphs": [{"context": 5}]}]}', "no field 'qas'"),
        ('{"data": 5}', "data must be a list of objects, not 5"),
    ],
)
def test_broken_squad(tmp_path, text, message):
    write(tmp_path, "train-v1.1.json", text)
    with pytest.raises(DataError, match=rf"train-v1\.1\.json: {message}"):
        read(SQUAD, tmp_path)


def test_definite_pronouns(tmp_path):
    write(
        tmp_path,
        "train.c.txt",
        "The bee landed on the flower because it had pollen.",
        "it",
        "The bee,the flower ",
        "the flower",
        "",
        "Jim signed the pact, because he liked it.\t",
        "he",
        "Jim , the pact",
        "Jim",
        "",
    )
    assert read(DPR, tmp_path)["train"] == [
        {
            "sentence": "The bee landed on the flower because it had pollen.",
            "pronoun": "it",
            "candidates": ["The bee", "the flower"],
            "label": 1,
        },
        {
            "sentence": "Jim signed the pact, because he liked it.",
            "pronoun": "he",
            "candidates": ["Jim", "the pact"],
            "label": 0,
        },
    ]
    assert published(DPR) == {"train": 1_322, "test": 564}


@pytest.mark.parametrize(
    "block",
    [
        ["s", "it", "a, b", "c", ""],
        ["s", "it", "a", "a", ""],
        ["s", "it", "a, b"],
        ["s", "it", "a, b", "a", "s", "it"],
    ],
)
def test_broken_definite_pronouns(tmp_path, block):
    write(tmp_path, "test.c.txt", "s", "it", "a, b", "b", "", *block)
    with pytest.raises(DataError, match=r"test\.c\.txt: line 6: expected a sentence, the pronoun"):
        read(DPR, tmp_path)
