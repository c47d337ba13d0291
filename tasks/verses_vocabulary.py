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
PIECES = 1948  # with the 100 sentinels 2,048: a multiple of 128, so Mesh adds no unused rows
SENTINELS = 100


def cache_directory() -> paths.Path:
    """Where trained vocabularies are kept: $MTF_SYNTHESIZER_CACHE, else the user's cache."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return paths.of(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "mtf_synthesizer"


class TrainedVocabulary(seqio.SentencePieceVocabulary):
    """A SentencePiece vocabulary that is trained when first used, and kept in a file.

    The file's name holds a digest of the training text and the size, so another text or size
    never meets an old model.
    """

    def __init__(
        self, name: str, sentences: Callable[[], Iterable[str]], pieces: int, extra_ids: int
    ):
        """Keeps the parameters; reads and trains nothing.

        Args:
            name: first part of the file's name.
            sentences: gives the training text, one sentence each.
            pieces: size of the vocabulary without sentinels.
            extra_ids: sentinels at the end of the vocabulary, for span corruption.
        """
        super().__init__(sentencepiece_model_file="", extra_ids=extra_ids)
        self._name = name
        self._sentences = sentences
        self._pieces = pieces

    def _model_context(self) -> Any:
        if not self._model:
            self._sentencepiece_model_file = str(self.model_file())
        return super()._model_context()

    @property
    def sentencepiece_model_file(self) -> str:
        self._model_context()
        return self._sentencepiece_model_file

    def model_file(self) -> paths.Path:
        """The model's file in the cache directory; trains it if it is not there."""
        sentences = list(self._sentences())
        digest = hashlib.md5("\n".join([str(self._pieces), *sentences]).encode()).hexdigest()[:12]
        path = cache_directory() / f"{self._name}-{self._pieces}-{digest}.model"
        if not path.exists():
            saving.write_bytes(path, train_apart(sentences, self._pieces))
        return path


def training_sentences() -> Iterator[str]:
    """Every training verse, in one of the translations each: a quarter of the training text."""
    names = tuple(verses.TRANSLATIONS)
    for verse in verses.splits()["train"]:
        yield verse.texts[names[verses.fixed_order("vocabulary", verse.identity) % len(names)]]


VOCABULARY = TrainedVocabulary("verses", training_sentences, PIECES, SENTINELS)
OUTPUT_FEATURES = {
    "inputs": seqio.Feature(vocabulary=VOCABULARY, add_eos=True),
    "targets": seqio.Feature(vocabulary=VOCABULARY, add_eos=True),
}
