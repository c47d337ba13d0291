"""Damaged predictions, and texts for vocabularies; all are found without TensorFlow."""

import json

import full_predictions
from faults import Fault, every, folder, written


def submitted(title, rows, *said, more="", change=None):
    """Predictions that `submit` is given."""
    content = "".join(json.dumps(row) + "\n" for row in rows)
    return Fault(
        title,
        f"submit --benchmark glue --partial --predictions p.jsonl --output glue.zip {more}".strip(),
        said,
        change or written("p.jsonl", content),
    )


WNLI = full_predictions.of("glue_wnli_v002_simple_eval")
COLA = full_predictions.of("glue_cola_v002")
LINE = json.dumps(WNLI[0])

PREDICTIONS = [
    submitted(
        "predictions that are missing",
        WNLI[:-1],
        f"WNLI.tsv from {WNLI[0]['task']}: 1 of 146 examples have no prediction: idx",
        "Predict the whole official test set",
    ),
    submitted(
        "a prediction that is there twice",
        [*WNLI, WNLI[3]],
        "1 of 146 examples have several predictions: idx",
        "and p.jsonl: line 147)",
    ),
    submitted(
        "a prediction of no example",
        [*WNLI, WNLI[0] | {"idx": 146}],
        "1 of no example, as idx goes from 0 to 145: idx 146 (p.jsonl: line 147)",
    ),
    submitted(
        "a text that is no label",
        [*COLA[:-1], COLA[-1] | {"output": "fine"}],
        "1 of 1063 decoded texts are not answers: 'fine' (p.jsonl: line 1063); allowed:",
        "--invalid CoLA=",
    ),
    submitted(
        "predictions of two checkpoints",
        [*WNLI[:-1], WNLI[-1] | {"step": 5}],
        "the predictions come from 2 checkpoints: step 1300",
        "--mixed_checkpoints",
    ),
    submitted(
        "predictions of another split",
        [row | {"split": "validation"} for row in WNLI],
        "belongs to the split 'validation'. Predict the split 'test'",
    ),
    submitted(
        "predictions that end within a line",
        WNLI,
        "p.jsonl: line 2: not JSON",
        "the file was truncated: predict again",
        change=written("p.jsonl", f"{LINE}\n{LINE[:-20]}"),
    ),
    submitted(
        "predictions in UTF-16",
        WNLI,
        "p.jsonl: line 1: not JSON",
        change=written("p.jsonl", LINE.encode("utf-16")),
    ),
    submitted(
        "predictions that begin with a mark of their byte order",
        WNLI,
        "p.jsonl: line 1: not JSON",
        "BOM",
        change=written("p.jsonl", LINE.encode("utf-8-sig")),
    ),
    submitted(
        "predictions without a task",
        [{"output": "x"}],
        "p.jsonl: line 1: task must be a text, not None. Give files of `predict`",
    ),
    submitted(
        "predictions that are not there",
        WNLI,
        "p.jsonl can't be read: No such file",
        change=lambda place: None,
    ),
    submitted(
        "a folder without predictions",
        WNLI,
        "no .jsonl file in p.jsonl: give the --output of `predict`",
        change=folder("p.jsonl"),
    ),
    submitted(
        "predictions of no task of a leaderboard",
        [WNLI[0] | {"task": "another"}],
        "no predictions of any task of glue",
    ),
    submitted(
        "an answer that is none",
        WNLI,
        "--invalid WNLI=perhaps: 'perhaps' is not an answer. Known: WNLI: not_entailment",
        more="--invalid WNLI=perhaps",
    ),
    submitted(
        "a zip over a file that is there",
        WNLI,
        "glue.zip exists: choose another --output, or give --overwrite",
        change=every(
            written("p.jsonl", "".join(json.dumps(row) + "\n" for row in WNLI)),
            written("glue.zip", b"somebody's"),
        ),
    ),
    submitted(
        "a zip over a folder",
        WNLI,
        "glue.zip is a folder: give the name of a file",
        more="--overwrite",
        change=folder("glue.zip"),
    ),
]

SENTENCES = "".join(f"Sentence {i} says {i * 37 % 101} words.\n" for i in range(60))


TEXT_FILE = written("text.txt", SENTENCES)


def trained(title, command, *said, change=TEXT_FILE):
    """A text that `data vocabulary` is given."""
    return Fault(title, f"data vocabulary --input text.txt {command}", said, change)


VOCABULARIES = [
    trained(
        "more pieces than the text has",
        "--size 5000 --output x.model",
        "--size 5000:",
        "too few words. Give at most",
    ),
    trained("no pieces", "--size 0 --output x.model", "--size: '0' is not a whole number above 0"),
    trained("too few pieces", "--size 3 --output x.model", "--size 3:"),
    trained(
        "no text for a vocabulary",
        "--size 50 --output x.model",
        "--input: no usable line of text (0 lines). Give one sentence per line",
        change=written("text.txt", "\n\n"),
    ),
    trained(
        "a text in Latin-1",
        "--size 50 --output x.model",
        "text.txt: line 61: not UTF-8",
        change=written("text.txt", SENTENCES.encode() + "caf\u00e9\n".encode("latin-1")),
    ),
    trained(
        "a text that is not there",
        "--size 50 --output x.model",
        "--input text.txt: no such file",
        change=lambda place: None,
    ),
    trained(
        "a vocabulary in place of its text",
        "--size 50 --output text.txt",
        "--output text.txt is also an --input: choose another --output",
    ),
    trained(
        "a vocabulary in place of a folder",
        "--size 50 --output words",
        "words is a folder: give the name of a file",
        change=every(written("text.txt", SENTENCES), folder("words")),
    ),
]

TABLES = {"Predictions": PREDICTIONS, "Vocabularies": VOCABULARIES}
