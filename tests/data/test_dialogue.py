"""PersonaChat in ParlAI's layout."""

import itertools

import pytest
from small_files import published, read, write

from mtf_synthesizer.data.dialogue import PERSONACHAT, PERSONACHAT_SMALL
from mtf_synthesizer.data.spec import DataError

VALID = "valid_self_original_no_cands.txt"


def test_every_reply_is_an_example(tmp_path):
    write(
        tmp_path,
        VALID,
        "1 your persona: i read .",
        "2 your persona: i only eat kosher.",
        "3 hello !\thi .",
        "4 how are you ?\tfine .",
        "1 your persona: i have two dogs.",
        "2 hey\tyo\t\tcandidate|other",
    )
    persona = "i read .\ni only eat kosher."
    assert read(PERSONACHAT, tmp_path)["validation"] == [
        {"persona": persona, "history": "hello !", "reply": "hi .", "dialogue": 1, "turn": 1},
        {
            "persona": persona,
            "history": "hello !\nhi .\nhow are you ?",
            "reply": "fine .",
            "dialogue": 1,
            "turn": 2,
        },
        {
            "persona": "i have two dogs.",
            "history": "hey",
            "reply": "yo",
            "dialogue": 2,
            "turn": 1,
        },
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["1 hi\tho", "3 hi\tho"], "line 2: has number 3, but 2"),
        (["2 hi\tho"], "line 1: has number 2, but 1"),
        (["1 hi\tho", "hi\tho"], "line 2: must begin with its number"),
        (["1 partner's persona: i swim."], "line 1: expected 'your persona"),
    ],
)
def test_broken_files_name_the_line(tmp_path, lines, message):
    write(tmp_path, "train_self_original.txt", *lines)
    with pytest.raises(DataError, match=rf"train_self_original\.txt: {message}"):
        read(PERSONACHAT, tmp_path)


def test_small_set_splits_by_the_last_digit(tmp_path):
    write(tmp_path, VALID, *(f"1 question {number}\treply" for number in range(1, 24)))
    found = read(PERSONACHAT_SMALL, tmp_path)
    numbers = {name: [row["dialogue"] for row in rows] for name, rows in found.items()}
    assert numbers["validation"] == [8, 18]
    assert numbers["test"] == [9, 19]
    assert sorted(itertools.chain(*numbers.values())) == list(range(1, 24))


def test_sample(shared_data):
    folder = shared_data / "dialogue" / "personachat"
    found = read(PERSONACHAT, folder)
    assert {name: len(rows) for name, rows in found.items()} == {"validation": 7_801}
    assert published(PERSONACHAT) == {"train": 131_438, "validation": 7_801}
    assert found["validation"][-1]["dialogue"] == 1000
    small = read(PERSONACHAT_SMALL, folder)
    assert {name: len({row["dialogue"] for row in rows}) for name, rows in small.items()} == {
        "train": 800,
        "validation": 100,
        "test": 100,
    }
    assert {name: len(rows) for name, rows in small.items()} == published(PERSONACHAT_SMALL)
    assert sum(map(len, small.values())) == 7_801
