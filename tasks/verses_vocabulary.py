"""Vocabulary and output features of the embedded tasks."""

import hashlib
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import seqio

from mtf_synthesizer.data.sentence_pieces import train_apart
from mtf_synthesizer.files import paths, saving
from mtf_synthesizer.tasks import verses

CACHE_VARIABLE = "MTF_SYNTHESIZER_CACHE"
PIECES = 1948  # 2,048 with the 100 sentinels, a multiple of 128, so that Mesh adds no rows
SENTINELS = 100


def cache_directory() -> paths.Path:
    """Return the folder of trained vocabularies: $MTF_SYNTHESIZER_CACHE or the user's cache."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return paths.of(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "mtf_synthesizer"


class TrainedVocabulary(seqio.SentencePieceVocabulary):
    """A SentencePiece vocabulary that is trained on first use and stored in a file.

    The file name contains a digest of training text and size, so that a change of either trains a
    new model.
    """

    def __init__(
        self,
        name: str,
        sentences: Callable[[], Iterable[str]],
        pieces: int,
        extra_ids: int,
        sources: Callable[[], Iterable[pathlib.Path]],
    ):
        """Store the parameters; read and train nothing.

        Args:
            name: first part of the file's name.
            sentences: function that returns the training sentences.
            pieces: size of the vocabulary without sentinels.
            extra_ids: number of sentinels at the end of the vocabulary, for span corruption.
            sources: function that returns the files on which the sentences depend.
        """
        super().__init__(sentencepiece_model_file="", extra_ids=extra_ids)
        self._name = name
        self._sentences = sentences
        self._pieces = pieces
        self._sources = sources

    def _model_context(self) -> Any:
        if not self._model:
            self._sentencepiece_model_file = str(self.model_file())
        return super()._model_context()

    @property
    def sentencepiece_model_file(self) -> str:
        self._model_context()
        return self._sentencepiece_model_file

    def model_file(self) -> paths.Path:
        """Return the model's file in the cache directory; train the model if it is missing.

        The sentences of unchanged sources are read once: making them takes seconds.
        """
        sources = hashlib.md5()
        for source in self._sources():
            sources.update(source.read_bytes())
        pointer = cache_directory() / f"{self._name}-{self._pieces}-{sources.hexdigest()[:12]}.txt"
        if pointer.exists():
            path = cache_directory() / pointer.read_text().strip()
            if path.exists():
                return path
        path = self._trained()
        saving.write_bytes(pointer, path.name.encode())
        return path

    def _trained(self) -> paths.Path:
        sentences = list(self._sentences())
        digest = hashlib.md5("\n".join([str(self._pieces), *sentences]).encode()).hexdigest()[:12]
        path = cache_directory() / f"{self._name}-{self._pieces}-{digest}.model"
        if not path.exists():
            saving.write_bytes(path, train_apart(sentences, self._pieces))
        return path


def training_sentences() -> Iterator[str]:
    """Yield every training verse in one translation: a quarter of the training text."""

    names = tuple(verses.TRANSLATIONS)
    for verse in verses.splits()["train"]:
        yield verse.texts[names[verses.fixed_order("vocabulary", verse.identity) % len(names)]]


def source_files() -> Iterator[pathlib.Path]:
    """Yield the texts, and the modules that choose the training sentences."""
    yield from verses.source_files()
    yield pathlib.Path(__file__)


VOCABULARY = TrainedVocabulary("verses", training_sentences, PIECES, SENTINELS, source_files)
OUTPUT_FEATURES = {
    "inputs": seqio.Feature(vocabulary=VOCABULARY, add_eos=True),
    "targets": seqio.Feature(vocabulary=VOCABULARY, add_eos=True),
}
