"""Rows of tasks that read small official files, prepared by the tests."""

import itertools
import pathlib
from typing import Any

import seqio
import tensorflow_datasets as tfds
from small_files import read

from mtf_synthesizer.data import prepared, sentence_pieces, spec
from mtf_synthesizer.upstream import vocabulary

BYTES = seqio.ByteVocabulary(vocabulary.BYTE_SENTINELS)
LENGTHS = {"inputs": 512, "targets": 512}
EOS = 1


def prepare(dataset: spec.Dataset, folder: pathlib.Path) -> pathlib.Path:
    """Writes the official files in a folder as tensorflow_datasets reads them."""
    found = read(dataset, folder)
    assert found
    prepared.write(dataset, found, folder / "prepared")
    return folder / "prepared"


def rows(
    name: str,
    split: str,
    folder: pathlib.Path,
    lengths: dict[str, int] | None = None,
    number: int | None = None,
    **options: Any,
) -> list[dict[str, Any]]:
    """The first rows of a task, in order, that reads its data below a folder."""
    task = seqio.TaskRegistry.get(name)
    source = task.source.tfds_dataset
    source.override_data_dir(str(folder))
    try:
        options = {"shuffle": False, **options}
        dataset = task.get_dataset(lengths or LENGTHS, split=split, **options)
        return list(itertools.islice(tfds.as_numpy(dataset), number))
    finally:
        source.override_data_dir(None)


def texts(row: dict[str, Any]) -> tuple[str, ...]:
    """Inputs and targets in bytes, which end with EOS, as text."""
    assert row["inputs"][-1] == row["targets"][-1] == EOS
    return tuple(BYTES.decode(row[name].tolist()) for name in ("inputs", "targets"))


def small_model(folder: pathlib.Path) -> pathlib.Path:
    """A SentencePiece model of 33 pieces."""
    sentences = ["the quick brown fox jumps over the lazy dog", "a good film, a bad film"] * 20
    path = folder / "small.model"
    path.write_bytes(sentence_pieces.train_sentencepiece(sentences, 33))
    return path
