"""C4, LM1B, WikiText-2 and tiny Shakespeare in their official layouts."""

import json

import pytest
from small_files import published, read, write

from mtf_synthesizer.data.language_modeling import C4, LM1B, TINY_SHAKESPEARE, WIKITEXT2
from mtf_synthesizer.data.spec import DataError


def page(text, **more):
    return json.dumps({"text": text, "timestamp": "2019-04-25T12:57:54Z", "url": "u", **more})


def test_c4_shards_in_order(tmp_path):
    write(tmp_path, "en/c4-train.00001-of-01024.json.gz", page("c"))
    write(tmp_path, "en/c4-train.00000-of-01024.json.gz", page("a"), "", page("b\nb", url="v"))
    write(tmp_path, "en/c4-validation.00000-of-00008.json.gz", page("d"))
    found = read(C4, tmp_path)
    assert [row["text"] for row in found["train"]] == ["a", "b\nb", "c"]
    assert found["train"][1] == {
        "text": "b\nb",
        "url": "v",
        "timestamp": "2019-04-25T12:57:54Z",
        "content-type": "",
        "content-length": "",
    }
    assert [row["text"] for row in found["validation"]] == ["d"]


def test_c4_names_the_line_without_text(tmp_path):
    write(tmp_path, "my_train.jsonl", page("a"), '{"content": "b"}')
    with pytest.raises(
        DataError, match=r"my_train\.jsonl: line 2: the field 'text' is missing.*content"
    ):
        read(C4, tmp_path)


def test_c4_documents_have_all_fields(tmp_path):
    bare = '{"text": "b", "url": "u"}'
    write(tmp_path, "c4-train.00000-of-01024.json", bare)
    with pytest.raises(DataError, match="line 1: the field 'timestamp' is missing or not a string"):
        read(C4, tmp_path)
    own = tmp_path / "own"
    write(own, "train.jsonl", bare)
    assert read(C4, own)["train"][0]["timestamp"] == ""
    write(own, "train.jsonl", page("a"), bare)
    with pytest.raises(DataError, match="line 2: the field 'timestamp' is missing"):
        read(C4, own)


def test_c4_sample(shared_data):
    found = read(C4, shared_data / "lm" / "c4")
    assert list(found) == ["train"]
    assert len(found["train"]) == 1000
    assert found["train"][0]["text"].startswith("Beginners BBQ Class Taking Place in Missoula!\n")
    assert sum(len(row["text"]) for row in found["train"]) > 2_000_000


@pytest.mark.parametrize("top", ["", "1-billion-word-language-modeling-benchmark-r13output/"])
def test_lm1b(tmp_path, top):
    train = f"{top}training-monolingual.tokenized.shuffled/news.en"
    held_out = f"{top}heldout-monolingual.tokenized.shuffled/news.en.heldout"
    write(tmp_path, f"{train}-00001-of-00100", "The U.S. Centers ", " and so on")
    write(tmp_path, f"{train}-00099-of-00100", "last")
    write(tmp_path, f"{held_out}-00000-of-00050", "Having a little flexibility")
    write(tmp_path, f"{held_out}-00049-of-00050", "on that issue")
    assert read(LM1B, tmp_path) == {
        "train": [{"text": "The U.S. Centers"}, {"text": "and so on"}, {"text": "last"}],
        "test": [{"text": "Having a little flexibility"}, {"text": "on that issue"}],
    }
    assert published(LM1B) == {"train": 30_301_028, "test": 306_688}


WIKI = [
    " ",
    " = Homarus gammarus = ",
    " ",
    " A lobster . ",
    " ",
    " = = Description = = ",
    " ",
    " = 1 <unk> / s and a nominal <unk> k = ",  # a formula, after a blank line but before text
    " more text ",
    " ",
    " = M @-@ 82 = ",
    " ",
    " A road . ",
    " ",
]


def test_wikitext_articles_keep_every_line(tmp_path):
    write(tmp_path, "wiki.test.tokens", *WIKI)
    first, second = (row["text"].split("\n") for row in read(WIKITEXT2, tmp_path)["test"])
    assert first == WIKI[:9]
    assert second == WIKI[9:]


@pytest.mark.parametrize(("split", "tokens"), [("validation", 217_646), ("test", 245_569)])
def test_wikitext_sample(shared_data, split, tokens):
    found = read(WIKITEXT2, shared_data / "lm" / "wikitext-2")
    assert set(found) == {"validation", "test"}
    # The published sizes: 60 articles, and words with one <eos> a line.
    assert len(found[split]) == published(WIKITEXT2)[split]
    lines = [line for row in found[split] for line in row["text"].split("\n")]
    assert sum(len(line.split()) + 1 for line in lines) == tokens


def test_tiny_shakespeare(shared_data):
    found = read(TINY_SHAKESPEARE, shared_data / "lm" / "tinyshakespeare")
    texts = {name: row["text"] for name, [row] in found.items()}
    # nanoGPT's file of 1,115,394 characters in nine tenths, then halves.
    assert {name: len(text) for name, text in texts.items()} == {
        "train": 1_003_854,
        "validation": 55_770,
        "test": 55_770,
    }
    assert texts["train"].startswith("First Citizen:\nBefore we proceed any further")
    assert texts["test"].endswith("Whiles thou art waking.\n")


def test_tiny_shakespeare_rounds_as_tensorflow_datasets(tmp_path):
    write(tmp_path, "input.txt", "0123456789", "abcde")  # 17 characters: int(15.3), int(1.0)
    found = {name: row["text"] for name, [row] in read(TINY_SHAKESPEARE, tmp_path).items()}
    assert found == {"train": "0123456789\nabcd", "validation": "e", "test": "\n"}
