"""IMDB's folders and AG News's CSV files."""

import itertools
import tarfile

import pytest
from small_files import published, read, write

from mtf_synthesizer.data.classification import AG_NEWS, IMDB, reviews
from mtf_synthesizer.data.spec import DataError


@pytest.mark.parametrize("top", ["", "aclImdb/"])
def test_imdb_alternates_between_its_folders(tmp_path, top):
    write(tmp_path, f"{top}train/pos/0_9.txt", "Bromwell High is a cartoon.")
    write(tmp_path, f"{top}train/pos/10_7.txt", "Good.<br /><br />Really.")
    write(tmp_path, f"{top}train/neg/0_3.txt", " Story of a man\n ")
    write(tmp_path, f"{top}train/neg/2_1.txt", "Bad.", "Very.")
    write(tmp_path, f"{top}train/unsup/0_0.txt", "Unknown.")
    write(tmp_path, f"{top}train/neg/._0_3.txt", "\0\5\x16\7")  # as macOS keeps attributes
    write(tmp_path, f"{top}train/neg/.0_3.txt.swp", "b0VIM")
    assert read(IMDB, tmp_path) == {
        "train": [
            {"text": "Story of a man", "label": "neg"},
            {"text": "Bromwell High is a cartoon.", "label": "pos"},
            {"text": "Bad.\nVery.", "label": "neg"},
            {"text": "Good.<br /><br />Really.", "label": "pos"},
        ],
        "unsupervised": [{"text": "Unknown.", "label": -1}],
    }


@pytest.mark.parametrize("name", ["pos/0_3.txt", "neg/0_9.txt", "pos/readme.txt"])
def test_imdb_review_in_a_wrong_folder(tmp_path, name):
    write(tmp_path, "train/pos/1_9.txt", "Good.")
    write(tmp_path, "train/neg/1_2.txt", "Bad.")
    write(tmp_path, f"train/{name}", "Moved.")
    with pytest.raises(DataError, match=rf"{name}.*NUMBER_RATING"):
        read(IMDB, tmp_path)


def test_imdb_sample(shared_data, tmp_path):
    archive = shared_data / "classification" / "imdb" / "aclImdb_labelled.tar.xz"
    with tarfile.open(archive) as members:  # the first reviews only: all of them take a while
        chosen = itertools.islice((m for m in members if m.isfile()), 97)
        members.extractall(tmp_path, members=list(chosen), filter="data")
    rows = list(reviews(list(tmp_path.rglob("*.txt"))))
    assert len(rows) == 97
    assert {row["label"] for row in rows} <= {"neg", "pos"}
    assert min(len(row["text"]) for row in rows) > 100
    assert published(IMDB) == {"train": 25_000, "test": 25_000, "unsupervised": 50_000}


def test_ag_news_classes_start_at_one(tmp_path):
    write(
        tmp_path,
        "ag_news_csv/train.csv",
        '"3","Wall St. Bears","Short-sellers\\band of ""ultra"" cynics"',
        '"4","Rocket","Up, up"',
        '"1","Summit","Met"',
        '"2","Cup","Won"',
    )
    rows = read(AG_NEWS, tmp_path)["train"]
    assert [row["label"] for row in rows] == ["Business", "Sci/Tech", "World", "Sports"]
    assert rows[0]["title"] == "Wall St. Bears"
    assert rows[0]["description"] == 'Short-sellers\\band of "ultra" cynics'


@pytest.mark.parametrize(
    "first", ["Class Index,Title,Description", '"Label","title","description"']
)
def test_ag_news_below_a_header(tmp_path, first):
    write(tmp_path, "train.csv", first, "3,Bears,Cynics", "", "1,Summit,Met")
    rows = read(AG_NEWS, tmp_path)["train"]
    assert [(row["label"], row["title"]) for row in rows] == [
        ("Business", "Bears"),
        ("World", "Summit"),
    ]


def test_csv_with_long_fields_and_lone_carriage_returns(tmp_path):
    long = "word " * 40_000  # 200 kB
    write(tmp_path, "test.csv", f'"1","a\rb","{long}"', '2,c\rd,"e"')
    found = [(row["title"], row["description"]) for row in read(AG_NEWS, tmp_path)["test"]]
    assert found == [("a\rb", long), ("c\rd", "e")]


def test_csv_whose_lines_end_as_on_old_macs(tmp_path):
    (tmp_path / "test.csv").write_bytes(b'"1","a","b"\r2,c,d\r"3","e","f"')
    found = read(AG_NEWS, tmp_path)["test"]
    assert [row["description"] for row in found] == ["b", "d", "f"]


@pytest.mark.parametrize("line", ['"5","a","b"', '"0","a","b"', '"1","a"', '"Class","a","b"'])
def test_ag_news_names_the_broken_line(tmp_path, line):
    write(tmp_path, "test.csv", '"1","a","b"', line)
    with pytest.raises(DataError, match=r"test\.csv: line 2: expected class \(1 to 4\)"):
        read(AG_NEWS, tmp_path)


def test_ag_news_sample(shared_data):
    found = read(AG_NEWS, shared_data / "classification" / "ag_news")
    assert {name: len(rows) for name, rows in found.items()} == {"train": 581, "test": 7_600}
    labels = [row["label"] for row in found["test"]]
    assert {label: labels.count(label) for label in set(labels)} == dict.fromkeys(
        ["World", "Sports", "Business", "Sci/Tech"], 1_900
    )
    assert published(AG_NEWS) == {"train": 120_000, "test": 7_600}
