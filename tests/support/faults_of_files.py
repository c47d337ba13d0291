"""Damaged official files; all are found without TensorFlow."""

import gzip
import json

from faults import Fault, every, folder, written

RTE = "index\tsentence1\tsentence2\tlabel\n"
ROWS = "".join(f"{i}\tLine {i} of it.\tLine {i}.\tentailment\n" for i in range(7))
COPA = {"premise": "p", "choice1": "a", "choice2": "b", "question": "cause", "label": 0, "idx": 0}
PACKED = gzip.compress((RTE + ROWS).encode())
ARTICLES = "article,highlights,id\n"


def prepared(title, benchmark, name, content, *said):
    """An official file that `data prepare` is given."""
    return Fault(
        title,
        f"data prepare --benchmark {benchmark} --from files --tfds_data_dir new --allow_partial",
        said,
        written(f"files/{name}", content) if not callable(content) else content,
    )


def lines(*values):
    return "".join(json.dumps(value) + "\n" for value in values)


TEXT = [
    prepared(
        "a table that ends within a line",
        "glue",
        "RTE/train.tsv",
        f"{RTE}{ROWS}7\tLine",
        "RTE/train.tsv: line 9: no field 'sentence2'. Fields: index, sentence1",
    ),
    prepared(
        "a table without its header",
        "glue",
        "RTE/dev.tsv",
        ROWS,
        "RTE/dev.tsv: no column sentence1, sentence2, label. The first line must be the header",
    ),
    prepared(
        "a label that there is not",
        "glue",
        "RTE/dev.tsv",
        f"{RTE}0\tA\tB\tmaybe\n",
        "RTE/dev.tsv: line 2: unknown label 'maybe'. Allowed: entailment, not_entailment",
    ),
    prepared(
        "a score out of range",
        "glue",
        "STS-B/dev.tsv",
        "sentence1\tsentence2\tscore\nA\tB\t5.5\n",
        "STS-B/dev.tsv: line 2: score must be a number from 0 to 5, not '5.5'",
    ),
    prepared(
        "rows of a test that are missing",
        "glue",
        "RTE/test.tsv",
        "index\tsentence1\tsentence2\n0\tA\tB\n2\tC\tD\n",
        "RTE/test.tsv: line 3: index '2' where 1 is expected: rows are missing or moved",
    ),
    prepared(
        "a table in Latin-1",
        "glue",
        "RTE/dev.tsv",
        f"{RTE}0\tcaf\u00e9\tB\tentailment\n".encode("latin-1"),
        "RTE/dev.tsv: line 2: not UTF-8",
        "Convert the file, for example with iconv",
    ),
    prepared(
        "a table in UTF-16",
        "glue",
        "RTE/dev.tsv",
        (RTE + ROWS).encode("utf-16"),
        "RTE/dev.tsv: line 1: not UTF-8",
    ),
    prepared("an empty file", "glue", "RTE/dev.tsv", "", "RTE/dev.tsv: no column sentence1"),
    prepared("an empty split", "glue", "RTE/dev.tsv", RTE, "RTE/dev.tsv: no examples in it"),
    Fault(
        "another number of examples than was published",
        "data prepare --benchmark glue --from files --tfds_data_dir new",
        ("RTE/train.tsv: 7 examples", "published file has 2,490. Download", "--allow_partial"),
        written("files/RTE/train.tsv", RTE + ROWS),
    ),
    prepared(
        "a folder for a file",
        "glue",
        "RTE/dev.tsv",
        folder("files/RTE/dev.tsv"),
        "RTE/dev.tsv: can't be read: Is a directory",
    ),
    prepared(
        "two files of one name",
        "glue",
        "RTE/dev.tsv",
        every(written("files/RTE/DEV.tsv", RTE), written("files/RTE/dev.tsv", RTE)),
        "RTE/DEV.tsv and files/RTE/dev.tsv are both RTE/dev.tsv: leave only one",
    ),
    prepared(
        "compressed data that ends too early",
        "glue",
        "RTE/dev.tsv.gz",
        PACKED[:-9],
        "RTE/dev.tsv.gz: after line",
        "compressed data is damaged or truncated",
        "Download the file again",
    ),
    prepared(
        "compressed data that is damaged",
        "glue",
        "RTE/dev.tsv.gz",
        PACKED[:30] + bytes([PACKED[30] ^ 255]) + PACKED[31:],
        "RTE/dev.tsv.gz: after line",
        "compressed data is damaged or truncated",
    ),
    prepared(
        "plain text that is called .gz",
        "glue",
        "RTE/dev.tsv.gz",
        RTE + ROWS,
        "RTE/dev.tsv.gz: after line 0: compressed data is damaged or truncated (Not a gzipped file",
    ),
    prepared(
        "pairs of files with other numbers of lines",
        "multi30k",
        "train.de",
        every(written("files/train.de", "Eins\nZwei\n"), written("files/train.en", "One\n")),
        "train.de: 2 sentences, but files/train.en: 1 sentences.",
        "download both again",
    ),
    prepared(
        "half of a pair",
        "multi30k",
        "train.de",
        "Eins\n",
        "train is left out: train.en missing beside the other files of the split",
    ),
    prepared(
        "a dialogue whose lines are missing",
        "personachat",
        "valid_self_original.txt",
        "1 your persona: i am.\n3 hi .\thello .\n",
        "valid_self_original.txt: line 2: has number 3, but 2 or a new dialogue's 1 is expected",
    ),
    prepared(
        "a reply that is missing",
        "personachat",
        "valid_self_original.txt",
        "1 hi .\n",
        "line 1: expected 'your persona: ...' or an utterance, a tab and the reply, not 'hi .'",
    ),
    prepared(
        "a review in the wrong folder",
        "imdb",
        "train/neg/0_9.txt",
        every(written("files/train/neg/0_9.txt", "Good."), written("files/train/pos/1_9.txt", "x")),
        "neg/0_9.txt: files in this folder are named NUMBER_RATING.txt, with a rating from 1 to 4",
    ),
    prepared(
        "a quote that is not closed",
        "cnn_dailymail",
        "test.csv",
        f'{ARTICLES}"The text,highlight,1\n',
        "test.csv: line 2: not CSV (unexpected end of data)",
        "truncated: download the file again",
    ),
    prepared(
        "a row with a field too many",
        "cnn_dailymail",
        "test.csv",
        f"{ARTICLES}text,highlight,1,2\n",
        "test.csv: line 2: 4 fields for 3 columns",
    ),
    prepared("no text at all", "tiny_shakespeare", "input.txt", "", "input.txt: no examples in it"),
]

JSON = [
    prepared(
        "JSON lines that end within one",
        "superglue",
        "COPA/val.jsonl",
        lines(COPA) + lines(COPA)[:-20],
        "COPA/val.jsonl: line 2: not JSON",
        "truncated: download the file again",
    ),
    prepared(
        "a list for an object",
        "superglue",
        "COPA/val.jsonl",
        "[1]\n",
        "COPA/val.jsonl: line 1: expected a JSON object, not '[1]'",
    ),
    prepared(
        "a number for a text",
        "superglue",
        "COPA/val.jsonl",
        lines(COPA | {"premise": 5}),
        "COPA/val.jsonl: line 1: premise must be a string, not 5",
    ),
    prepared(
        "an example that is there twice",
        "superglue",
        "COPA/val.jsonl",
        lines(COPA, COPA),
        "COPA/val.jsonl: line 2: idx 0 occurs twice",
    ),
    prepared(
        "a number that nothing can hold",
        "superglue",
        "COPA/val.jsonl",
        lines(COPA | {"idx": 2**40}),
        "COPA/val.jsonl: line 1: idx must be at most 2147483647, not 1099511627776",
    ),
    prepared(
        "half a character",
        "superglue",
        "COPA/val.jsonl",
        lines(COPA | {"premise": "\ud800"}),
        "COPA/val.jsonl: line 1: not JSON (it holds half a character)",
    ),
    prepared(
        "lists within lists without an end",
        "superglue",
        "COPA/val.jsonl",
        "[" * 100_000,
        "COPA/val.jsonl: line 1: not JSON (it is nested too deeply)",
    ),
    prepared(
        "SQuAD that is cut off",
        "squad",
        "dev-v1.1.json",
        '{"data": [{"title": "a", ',
        "dev-v1.1.json: not JSON",
        "truncated: download the file again",
    ),
    prepared(
        "SQuAD that is nested otherwise",
        "squad",
        "dev-v1.1.json",
        '{"data": [{"title": "a"}]}',
        "dev-v1.1.json: no field 'paragraphs'.",
        "data > paragraphs > qas > answers",
    ),
    prepared(
        "pages without a text",
        "c4",
        "c4-train.00000-of-00001.json",
        '{"content": "x"}\n',
        "json: line 1: the field 'text' is missing or not a string; fields: content.",
    ),
]


TABLES = {
    "Official files: text": TEXT,
    "Official files: JSON": JSON,
}
