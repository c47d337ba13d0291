"""SuperGLUE: the official JSON lines, with the rows that tensorflow_datasets makes of them."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mtf_synthesizer.data.glue import NO_LABEL
from mtf_synthesizer.data.records import Record, json_records
from mtf_synthesizer.data.spec import Dataset, Row, Split
from mtf_synthesizer.files.paths import Path

# The rows of one line. Those of a test file, which is not `labelled`, may lack the label.
LineReader = Callable[[Record, bool], Iterator[Row]]

# Value in the file -> class. True and False are also found as 1 and 0, which Python takes as equal.
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
    """A row for each line, with fields of the same name."""

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


# Something stands between their words, so nothing in the text is equal to them.
_SCATTERED = ("Kamenev and Zinoviev", "Kamenev, Zinoviev, and Stalin")


def _wsc_fixed(record: Record, labelled: bool) -> Iterator[Row]:
    """WSC with spans written as they stand in the text."""
    for row in _wsc(record, labelled):
        for span in ("span1", "span2"):
            if row[f"{span}_text"] not in _SCATTERED:
                _fix(record, row, span)
        yield row


def _fix(record: Record, row: Row, span: str) -> None:
    """Gives a span the capital, the end and the blanks that it has in the text."""
    found, words, index = row[f"{span}_text"], row["text"].split(), row[f"{span}_index"]
    if found in row["text"]:
        return
    if "theyscold" in found:  # two words run together, which moves what follows
        row["span2_index"] = 10
    first = words[index] if 0 <= index < len(words) else ""
    begin = found[:1].lower() if first[:1].islower() else found[:1].upper()
    fixed = f"{begin}{found[1:]}".rstrip(".").replace("\n", " ")
    if fixed not in row["text"]:
        raise record.fault(f"{span}_text {found!r} is not in the text")
    row[f"{span}_text"] = fixed


def _multirc(record: Record, labelled: bool) -> Iterator[Row]:
    """A row for each answer to each question about the paragraph."""
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
    """A row for each query about the passage."""
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
    """The rows of a file; a DataError for an identity that comes twice."""
    seen: set[Any] = set()
    for record in json_records(paths[0]):
        for row in rows(record, labelled):
            identity = tuple(row["idx"].values()) if isinstance(row["idx"], dict) else row["idx"]
            if identity in seen:
                raise record.fault(f"idx {row['idx']} was there before: use the official file")
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
    """Only a test split; the published files have labels."""
    read = functools.partial(_read, rows=rows, labelled=False)
    return tuple(
        Split("test", (name,), read, count)
        for name in (f"{folder}/{folder}.jsonl", f"{folder}/test.jsonl", f"{folder}.jsonl")
    )


_PAIR = ("premise", "hypothesis")
_WIC_NUMBERS = ("start1", "start2", "end1", "end2")
_WIC = _plain(("word", "sentence1", "sentence2"), _TRUTH, _WIC_NUMBERS)
_COPA = _plain(("premise", "choice1", "choice2", "question"), _CHOICE)

# Published counts: those of tensorflow_datasets. MultiRC's are answers and ReCoRD's are queries.
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
