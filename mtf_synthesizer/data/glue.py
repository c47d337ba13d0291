"""GLUE: official tab-separated files, converted to the rows of tensorflow_datasets.

Splits of one name are alternatives: other names of the same files.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence

from mtf_synthesizer.data.records import Record, table_records
from mtf_synthesizer.data.spec import Dataset, Row, Split
from mtf_synthesizer.files.paths import Path

NO_LABEL = -1  # label of test rows in tensorflow_datasets


@dataclasses.dataclass(frozen=True)
class Table:
    """Columns of a task's files.

    Attributes:
      texts: feature -> column.
      label: column of the label.
      read_label: function that reads the label from a column of a record.
      header: columns of training files without a header.
      skip_broken: whether lines with too few columns are skipped, as in the published counts.
    """

    texts: Mapping[str, str]
    label: str
    read_label: Callable[[Record, str], str | float]
    header: tuple[str, ...] | None = None
    skip_broken: bool = False

    def labelled(self, paths: Sequence[Path]) -> Iterator[Row]:
        """Yield rows of a training or development file."""
        needed = (*self.texts.values(), self.label)
        records = table_records(paths[0], needed, self.header)
        if not self.skip_broken:  # files with broken lines have other irregular lines, too
            records = _regular(records, self.label)
        for number, record in enumerate(records):
            if not (self.skip_broken and self._broken(record)):
                yield self.row(record, number)

    def unlabelled(self, paths: Sequence[Path]) -> Iterator[Row]:
        """Yield rows of a test file."""
        needed = tuple(self.texts.values())
        for number, record in enumerate(table_records(paths[0], needed)):
            _check_index(record, number)
            yield {**self._texts(record), "label": NO_LABEL, "idx": number}

    def row(self, record: Record, number: int) -> Row:
        """Return a labelled row; `idx` is its place in the file."""
        return {
            **self._texts(record),
            "label": self.read_label(record, self.label),
            "idx": number,
        }

    def _texts(self, record: Record) -> dict[str, str]:
        return {feature: record.text(column) for feature, column in self.texts.items()}

    def _broken(self, record: Record) -> bool:
        known = record.fields
        return not known.get(self.label) or any(name not in known for name in self.texts.values())


def _regular(records: Iterator[Record], label: str) -> Iterator[Record]:
    """Yield the records of a labelled file.

    Raises:
      DataError: an index is repeated, or a line has more columns than the header although the
        label is the last column, because a tab inside a text moved it.
    """
    seen: set[str] = set()
    for record in records:
        index = record.fields.get("index")
        if index is not None:
            if index in seen:
                raise record.fault(f"index {index!r} occurs twice. Use the official file")
            seen.add(index)
        if record.spare and label == [*record.fields][-1]:
            raise record.fault(
                f"{len(record.fields) + record.spare} columns, but the header has "
                f"{len(record.fields)}. Use the official file"
            )
        yield record


def _check_index(record: Record, number: int) -> None:
    """Check a test row's place: results are submitted by place, so no row may be missing."""
    index = record.fields.get("index", str(number))
    if index != str(number):
        raise record.fault(
            f"index {index!r} where {number} is expected: rows are missing or moved, so results "
            "could not be submitted. Use the official file"
        )


def _numbered(*classes: str) -> Callable[[Record, str], str]:
    """Return a reader of labels written as numbers, 0 for the first class."""
    labels = {str(number): name for number, name in enumerate(classes)}
    return lambda record, column: record.label(column, labels)


def _named(*classes: str) -> Callable[[Record, str], str]:
    """Return a reader of labels written as texts."""
    labels = {name: name for name in classes}
    return lambda record, column: record.label(column, labels)


def _score(record: Record, column: str) -> float:
    return record.number(column, 0, 5)


_SENTENCE = {"sentence": "sentence"}
_SENTENCES = {"sentence1": "sentence1", "sentence2": "sentence2"}
_NLI = {"premise": "sentence1", "hypothesis": "sentence2"}

COLA = Table(
    _SENTENCE,
    "is_acceptable",
    _numbered("unacceptable", "acceptable"),
    header=("source", "is_acceptable", "mark", "sentence"),
)
SST2 = Table(_SENTENCE, "label", _numbered("negative", "positive"))
MRPC = Table(
    {"sentence1": "#1 String", "sentence2": "#2 String"},
    "Quality",
    _numbered("not_equivalent", "equivalent"),
)
STSB = Table(_SENTENCES, "score", _score)
QQP = Table(
    {"question1": "question1", "question2": "question2"},
    "is_duplicate",
    _numbered("not_duplicate", "duplicate"),
    skip_broken=True,
)
MNLI = Table(_NLI, "gold_label", _named("entailment", "neutral", "contradiction"))
QNLI = Table(
    {"question": "question", "sentence": "sentence"},
    "label",
    _named("entailment", "not_entailment"),
)
RTE = Table(_SENTENCES, "label", _named("entailment", "not_entailment"))
WNLI = Table(_SENTENCES, "label", _numbered("not_entailment", "entailment"))


def _mrpc(paths: Sequence[Path], held_out: bool) -> Iterator[Row]:
    """Yield MRPC rows of the original training file; pairs in dev_ids.tsv are held out."""
    original, dev_ids = paths
    dev_pairs = {
        (record.text("1"), record.text("2"))
        for record in table_records(dev_ids, (), header=("1", "2"))
    }
    needed = (*MRPC.texts.values(), MRPC.label, "#1 ID", "#2 ID")
    for number, record in enumerate(table_records(original, needed)):
        pair = record.text("#1 ID"), record.text("#2 ID")
        if (pair in dev_pairs) == held_out:
            yield MRPC.row(record, number)


def _splits(folder: str, table: Table, train: int, dev: int, test: int) -> tuple[Split, ...]:
    return (
        Split("train", (f"{folder}/train.tsv",), table.labelled, train),
        Split("validation", (f"{folder}/dev.tsv",), table.labelled, dev),
        Split("test", (f"{folder}/test.tsv",), table.unlabelled, test),
    )


def _mrpc_splits() -> tuple[Split, ...]:
    """Return MRPC's splits; only the original files determine tensorflow_datasets' `idx`."""
    train, validation, test = _splits("MRPC", MRPC, 3_668, 408, 1_725)
    original = ("MRPC/msr_paraphrase_train.txt", "MRPC/dev_ids.tsv")
    rest = functools.partial(_mrpc, held_out=False)
    held_out = functools.partial(_mrpc, held_out=True)
    return (
        dataclasses.replace(train, files=original, read=rest),
        train,
        dataclasses.replace(validation, files=original, read=held_out),
        validation,
        dataclasses.replace(test, files=("MRPC/msr_paraphrase_test.txt",)),
        test,
    )


def _qqp_splits() -> tuple[Split, ...]:
    """Return QQP's splits, for two releases: the first, and one with three fewer broken rows."""
    train, validation, test = _splits("QQP", QQP, 363_849, 40_430, 390_965)
    return dataclasses.replace(train, published=(363_849, 363_846)), validation, test


def _mnli_splits(genres: str, suffix: str, dev: int, test: int) -> tuple[Split, ...]:
    return (
        Split(f"validation{suffix}", (f"MNLI/dev_{genres}.tsv",), MNLI.labelled, dev),
        Split(f"test{suffix}", (f"MNLI/test_{genres}.tsv",), MNLI.unlabelled, test),
    )


_MNLI = (
    Split("train", ("MNLI/train.tsv",), MNLI.labelled, 392_702),
    *_mnli_splits("matched", "_matched", 9_815, 9_796),
    *_mnli_splits("mismatched", "_mismatched", 9_832, 9_847),
)
_AX = tuple(
    Split("test", (file,), MNLI.unlabelled, 1_104)
    for file in (
        "AX/diagnostic.tsv",
        "AX/AX.tsv",
        "diagnostic/diagnostic.tsv",
        "diagnostic.tsv",
        "AX.tsv",
    )
)

# Published counts of tensorflow_datasets, which the paper uses.
DATASETS = tuple(
    Dataset(f"glue/{name}:1.0.0", splits)
    for name, splits in {
        "cola": _splits("CoLA", COLA, 8_551, 1_043, 1_063),
        "sst2": _splits("SST-2", SST2, 67_349, 872, 1_821),
        "mrpc": _mrpc_splits(),
        "stsb": _splits("STS-B", STSB, 5_749, 1_500, 1_379),
        "qqp": _qqp_splits(),
        "mnli": _MNLI,
        "mnli_matched": _mnli_splits("matched", "", 9_815, 9_796),
        "mnli_mismatched": _mnli_splits("mismatched", "", 9_832, 9_847),
        "qnli": _splits("QNLI", QNLI, 104_743, 5_463, 5_463),
        "rte": _splits("RTE", RTE, 2_490, 277, 3_000),
        "wnli": _splits("WNLI", WNLI, 635, 71, 146),
        "ax": _AX,
    }.items()
)
