"""Lengths of a user's own rows in tokens, counted before TensorFlow is loaded if possible."""

import dataclasses
import functools
from collections.abc import Callable, Mapping

from mtf_synthesizer.data import own_files
from mtf_synthesizer.files import paths
from mtf_synthesizer.model_folder.own_data import LANGUAGE_MODEL, PAIRS, SPANS, TRAIN, OwnData
from mtf_synthesizer.model_folder.vocabulary import BYTES

LONGEST = 512  # tokens, T5's length
_SPAN_TARGETS = 114  # of 512 corrupted tokens, as in T5's pretraining
Count = Callable[[str], int]


@dataclasses.dataclass(frozen=True)
class RowLengths:
    """Lengths of the training rows.

    Attributes:
      lengths: feature -> tokens in a row of a batch, EOS included.
      rows: number of rows in the file.
      cut: number of rows that are longer, and lose their end.
    """

    lengths: Mapping[str, int]
    rows: int
    cut: int

    def __str__(self) -> str:
        lengths = ", ".join(f"{name} {length}" for name, length in self.lengths.items())
        cut = f"; {self.cut} rows are longer and are cut" if self.cut else ""
        return f"{self.rows} training rows; tokens in a row: {lengths}{cut}"


def measure(data: OwnData, vocabulary: str) -> RowLengths:
    """Measure the training rows: the longest, but at most 512 tokens.

    Rows of plain text are filled from several lines, so their length depends on no line.

    Args:
      data: the definition; its training file was checked.
      vocabulary: a SentencePiece model or "bytes".
    """
    return _MEASURES[data.chosen_objective](data, _counter(vocabulary))


def _of_pairs(data: OwnData, count: Count) -> RowLengths:
    prefix = data.prefix or ""
    longest = dict.fromkeys(data.features, 1)
    rows = cut = 0
    for row in own_files.rows(data, TRAIN):
        lengths = {"inputs": count(prefix + row["inputs"]), "targets": count(row["targets"])}
        longest = {name: max(longest[name], length) for name, length in lengths.items()}
        rows, cut = rows + 1, cut + (max(lengths.values()) > LONGEST)
    return RowLengths({name: min(n, LONGEST) for name, n in longest.items()}, rows, cut)


def _of_spans(data: OwnData, count: Count) -> RowLengths:
    rows = sum(1 for _ in own_files.rows(data, TRAIN))
    return RowLengths({"inputs": LONGEST, "targets": _SPAN_TARGETS}, rows, 0)


def _of_language(data: OwnData, count: Count) -> RowLengths:
    lengths = [count(row["targets"]) for row in own_files.rows(data, TRAIN)]
    length = min(LONGEST, sum(lengths))
    return RowLengths({"inputs": length, "targets": length}, len(lengths), 0)


_MEASURES: Mapping[str, Callable[[OwnData, Count], RowLengths]] = {
    PAIRS: _of_pairs,
    SPANS: _of_spans,
    LANGUAGE_MODEL: _of_language,
}


def _counter(vocabulary: str) -> Count:
    """Return a function that counts the tokens of a text and its EOS."""
    if vocabulary == BYTES:
        return lambda text: len(text.encode("utf-8")) + 1
    encode = _encoder(vocabulary)
    return lambda text: len(encode(text)) + 1


@functools.cache
def _encoder(vocabulary: str) -> Callable[[str], list[int]]:
    if paths.is_remote(vocabulary) or not paths.of(vocabulary).is_file():
        from mtf_synthesizer.upstream.vocabulary import load

        return load(vocabulary).encode  # with its errors
    import sentencepiece

    model = sentencepiece.SentencePieceProcessor()
    model.LoadFromSerializedProto(paths.of(vocabulary).read_bytes())
    return model.EncodeAsIds
