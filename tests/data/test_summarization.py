"""CNN/DailyMail: CSV files, and the stories with the lists of their addresses."""

import hashlib

import pytest
from small_files import published, read, write

from mtf_synthesizer.data.spec import DataError
from mtf_synthesizer.data.summarization import DATASETS

(CNN_DAILYMAIL,) = DATASETS


def test_csv_with_line_ends_and_quotes_inside(tmp_path):
    write(
        tmp_path,
        "validation.csv.gz",
        "id,article,highlights",
        '7f,"He said ""no"", twice.","First .',
        'Second ."',
        "8a,Text .,Short .",
    )
    assert read(CNN_DAILYMAIL, tmp_path) == {
        "validation": [
            {
                "article": 'He said "no", twice.',
                "highlights": "First .\nSecond .",
                "publisher": "",
                "id": "7f",
            },
            {"article": "Text .", "highlights": "Short .", "publisher": "", "id": "8a"},
        ]
    }


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["article,highlights", "a,b"], "line 1: expected the columns article, highlights, id"),
        (["article,highlights,id", "a,b,1", "a,b"], "line 3: 2 fields for 3 columns"),
        (["article,highlights,id", "a,b,1", '"never closed', "more"], "line 4: not CSV"),
        (["article,highlights,id", 'a,"b" c,1'], "line 2: not CSV"),
    ],
)
def test_broken_csv_names_the_line(tmp_path, lines, message):
    write(tmp_path, "test.csv", *lines)
    with pytest.raises(DataError, match=rf"test\.csv: {message}"):
        read(CNN_DAILYMAIL, tmp_path)


STORY = [
    "(CNN) -- A caption without an end",
    "",
    "It ended. ",
    "\u201cHe left\u201d",
    "",
    "@highlight",
    "",
    "First point",
    "",
    "@highlight",
    "",
    "Second point!",
]


def test_stories_as_tensorflow_datasets_reads_them(tmp_path):
    urls = [f"http://web.archive.org/{name}" for name in "abcd"]
    a, b, c, d = (hashlib.sha1(url.encode()).hexdigest() for url in urls)
    write(tmp_path, "url_lists/all_train.txt", urls[0], urls[1])
    write(tmp_path, "url_lists/all_test.txt", urls[2], urls[3])
    write(tmp_path, f"cnn/stories/{a}.story", *STORY)
    write(tmp_path, f"cnn/stories/{d}.story", "no summary")
    write(tmp_path, f"dailymail/stories/{b}.story", "Text", "@highlight", "Point")
    write(tmp_path, f"dailymail/stories/{c}.story", "Test", "@highlight", "Point")
    found = read(CNN_DAILYMAIL, tmp_path)
    assert found["train"] == [
        {
            "article": "(CNN) -- A caption without an end. It ended. \u201cHe left\u201d",
            "highlights": "First point.\nSecond point!",
            "publisher": "cnn",
            "id": a,
        },
        {"article": "Text.", "highlights": "Point.", "publisher": "dm", "id": b},
    ]
    assert [row["id"] for row in found["test"]] == [c]


def test_published_counts():
    # https://www.tensorflow.org/datasets/catalog/cnn_dailymail
    assert published(CNN_DAILYMAIL) == {"train": 287_113, "validation": 13_368, "test": 11_490}


def test_sample(shared_data):
    found = read(CNN_DAILYMAIL, shared_data / "summarization" / "cnn_dailymail")
    assert {name: len(rows) for name, rows in found.items()} == {"validation": 500, "test": 500}
    first = found["test"][0]
    assert first["id"] == "f001ec5c4704938247d27a44948eebb37ae98d01"
    assert first["article"].startswith("(CNN)The Palestinian Authority officially became")
    assert first["highlights"].count("\n") == 1
