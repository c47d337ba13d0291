"""SuperGLUE: official JSON lines, converted to the rows of tensorflow_datasets."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mtf_synthesizer.data.glue import NO_LABEL
from mtf_synthesizer.data.records import Record, json_records
from mtf_synthesizer.data.spec import Dataset, Row, Split
from mtf_synthesizer.files.paths import Path

# Rows of one line. A test file, which is not `labelled`, may lack labels.
LineReader = Callable[[Record, bool], Iterator[Row]]

# Value in the file -> class. True and False may be written as 1 and 0, which equal them in Python.
_TRUTH = {False: "False", True: "True", "False": "False", "True": "True"}
_CHOICE = {0: "choice1", 1: "choice2"}
_ENTAILMENT = {"entailment": "entailment", "not_entailment": "not_entailment"}
_CB = {name: name for name in ("entailment", "contradiction", "neutral")}


def _label(record: Record, labels: Mapping[Any, str], labelled: bool) -> str | int:
    if not labelled and record.fields.get("label") is None:
        return NO_LABEL
    return record.label("label", labels)


def _plain(
    texts: Sequence[str], labels: Mapping[Any, str], numbers: Sequence[str] = ()
) -> LineReader:
    """Return a reader of one row per line, with equal field names."""

    def rows(record: Record, labelled: bool) -> Iterator[Row]:
        yield {
            **{name: record.text(name) for name in texts},
            **{name: record.integer(name) for name in (*numbers, "idx")},
            "label": _label(record, labels, labelled),
        }

    return rows


def _wsc(record: Record, labelled: bool) -> Iterator[Row]:
    target = record.part("target")
    yield {
        "text": record.text("text"),
        **{name: target.text(name) for name in ("span1_text", "span2_text")},
        **{name: target.integer(name) for name in ("span1_index", "span2_index")},
        "idx": record.integer("idx"),
        "label": _label(record, _TRUTH, labelled),
    }


# Other words stand between the words of these spans, so the text never contains them.
_SCATTERED = ("Kamenev and Zinoviev", "Kamenev, Zinoviev, and Stalin")


def _wsc_fixed(record: Record, labelled: bool) -> Iterator[Row]:
    """Yield WSC rows with spans written as in the text."""
    for row in _wsc(record, labelled):
        for span in ("span1", "span2"):
            if row[f"{span}_text"] not in _SCATTERED:
                _fix(record, row, span)
        yield row


def _fix(record: Record, row: Row, span: str) -> None:
    """Correct a span's capital, end and blanks to match the text."""
    text, words, index = row[f"{span}_text"], row["text"].split(), row[f"{span}_index"]
    if text in row["text"]:
        return
    if "theyscold" in text:  # two words without a blank, which moves the next span
        row["span2_index"] = 10
    first = words[index] if 0 <= index < len(words) else ""
    begin = text[:1].lower() if first[:1].islower() else text[:1].upper()
    fixed = f"{begin}{text[1:]}".rstrip(".").replace("\n", " ")
    if fixed not in row["text"]:
        raise record.fault(f"{span}_text {text!r} is not in the text")
    row[f"{span}_text"] = fixed


def _multirc(record: Record, labelled: bool) -> Iterator[Row]:
    """Yield a row for each answer to each question about the paragraph."""
    passage = record.part("passage")
    for question in passage.parts("questions"):
        for answer in question.parts("answers"):
            yield {
                "paragraph": passage.text("text"),
                "question": question.text("question"),
                "answer": answer.text("text"),
                "label": _label(answer, _TRUTH, labelled),
                "idx": {
                    "paragraph": record.integer("idx"),
                    "question": question.integer("idx"),
                    "answer": answer.integer("idx"),
                },
            }


def _record(record: Record, labelled: bool) -> Iterator[Row]:
    """Yield a row for each query about the passage."""
    passage = record.part("passage")
    text = passage.text("text")
    entities = {
        text[entity.integer("start") : entity.integer("end") + 1]
        for entity in passage.parts("entities")
    }
    for query in record.parts("qas"):
        answered = labelled or "answers" in query.fields
        answers = query.parts("answers") if answered else []
        yield {
            "passage": text,
            "query": query.text("query"),
            "entities": sorted(entities),
            "answers": sorted({answer.text("text") for answer in answers}),
            "idx": {"passage": record.integer("idx"), "query": query.integer("idx")},
        }


def _read(paths: Sequence[Path], rows: LineReader, labelled: bool) -> Iterator[Row]:
    """Yield the rows of a file; raise a DataError for a repeated identity."""
    seen: set[Any] = set()
    for record in json_records(paths[0]):
        for row in rows(record, labelled):
            identity = tuple(row["idx"].values()) if isinstance(row["idx"], dict) else row["idx"]
            if identity in seen:
                raise record.fault(f"idx {row['idx']} occurs twice. Use the official file")
            seen.add(identity)
            yield row


def _splits(folder: str, rows: LineReader, train: int, val: int, test: int) -> tuple[Split, ...]:
    labelled = functools.partial(_read, rows=rows, labelled=True)
    unlabelled = functools.partial(_read, rows=rows, labelled=False)
    return (
        Split("train", (f"{folder}/train.jsonl",), labelled, train),
        Split("validation", (f"{folder}/val.jsonl",), labelled, val),
        Split("test", (f"{folder}/test.jsonl",), unlabelled, test),
    )


def _diagnostics(folder: str, rows: LineReader, count: int) -> tuple[Split, ...]:
    """Return alternatives of a test split; the published files have labels."""
    read = functools.partial(_read, rows=rows, labelled=False)
    return tuple(
        Split("test", (name,), read, count)
        for name in (f"{folder}/{folder}.jsonl", f"{folder}/test.jsonl", f"{folder}.jsonl")
    )


_PAIR = ("premise", "hypothesis")
_WIC_NUMBERS = ("start1", "start2", "end1", "end2")
_WIC = _plain(("word", "sentence1", "sentence2"), _TRUTH, _WIC_NUMBERS)
_COPA = _plain(("premise", "choice1", "choice2", "question"), _CHOICE)

# Published counts of tensorflow_datasets; MultiRC counts answers, ReCoRD queries.
DATASETS = tuple(
    Dataset(f"super_glue/{name}:1.0.2", splits)
    for name, splits in {
        "boolq": _splits("BoolQ", _plain(("question", "passage"), _TRUTH), 9_427, 3_270, 3_245),
        "cb": _splits("CB", _plain(_PAIR, _CB), 250, 56, 250),
        "copa": _splits("COPA", _COPA, 400, 100, 500),
        "multirc": _splits("MultiRC", _multirc, 27_243, 4_848, 9_693),
        "record": _splits("ReCoRD", _record, 100_730, 10_000, 10_000),
        "rte": _splits("RTE", _plain(_PAIR, _ENTAILMENT), 2_490, 277, 3_000),
        "wic": _splits("WiC", _WIC, 5_428, 638, 1_400),
        "wsc": _splits("WSC", _wsc, 554, 104, 146),
        "wsc.fixed": _splits("WSC", _wsc_fixed, 554, 104, 146),
        "axb": _diagnostics("AX-b", _plain(("sentence1", "sentence2"), _ENTAILMENT), 1_104),
        "axg": _diagnostics("AX-g", _plain(_PAIR, _ENTAILMENT), 356),
    }.items()
)
