"""The vocabulary of every task that has none of its own: T5's, or the one that was chosen.

T5's tasks ask for their vocabulary while they are imported. They get `DEFAULT`, which looks the
choice up when it is used, so that T5's tasks too can be trained without a network, with bytes or
with any SentencePiece model.
"""

import functools
import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import seqio
import t5.data
import tensorflow as tf

from mtf_synthesizer import errors

BYTES = "bytes"
CHOICE_VARIABLE = "MTF_SYNTHESIZER_VOCABULARY"
T5_MODEL = t5.data.DEFAULT_SPM_PATH
SENTINELS = t5.data.DEFAULT_EXTRA_IDS
BYTE_SENTINELS = 125  # as ByT5: 384 ids, a multiple of 128

_chosen: list[str] = []


def choose(vocabulary: str | None) -> None:
    """Chooses the vocabulary of all tasks without one of their own.

    Args:
      vocabulary: path of a SentencePiece model, "bytes", or None for $MTF_SYNTHESIZER_VOCABULARY
        and, without that, T5's public model.

    Raises:
      errors.UserError: the file can't be read, or it is not a model that T5 can use.
    """
    if vocabulary is not None:  # otherwise it is looked at when it is needed
        load(vocabulary)
    _chosen[:] = [] if vocabulary is None else [vocabulary]  # at once: threads look at it


def choice() -> str:
    """What is chosen: "bytes" or the path of a SentencePiece model."""
    return _chosen[0] if _chosen else os.environ.get(CHOICE_VARIABLE) or T5_MODEL


@functools.cache
def load(vocabulary: str) -> seqio.Vocabulary:
    """The vocabulary that `choose` describes.

    Raises:
      errors.UserError: the file can't be read, or it is not a model that T5 can use.
    """
    if vocabulary == BYTES:
        return seqio.ByteVocabulary(BYTE_SENTINELS)
    result = seqio.SentencePieceVocabulary(vocabulary, extra_ids=0)
    try:
        ids = (result.tokenizer.pad_id(), result.eos_id, result.unk_id)
        sentinels = _sentinels(result.tokenizer)
    except Exception as error:  # of TensorFlow's file systems, protobuf or SentencePiece
        raise errors.UserError(_unreadable(vocabulary, error)) from error
    if ids != (0, 1, 2):
        raise errors.UserError(
            f"--vocabulary {vocabulary}: padding, end of sequence and unknown have the ids {ids}, "
            "but T5 needs 0, 1, 2. `mtf_synthesizer data vocabulary` trains such a model"
        )
    if not sentinels:
        return seqio.SentencePieceVocabulary(vocabulary, SENTINELS)
    last = range(result.vocab_size - 1, result.vocab_size - 1 - len(sentinels), -1)
    if sentinels != [*last]:
        raise errors.UserError(
            f"--vocabulary {vocabulary}: it holds sentinels, but <extra_id_0> has the id "
            f"{sentinels[0]}. T5 needs them as the last ids in descending order, <extra_id_0> as "
            f"{last[0]}: give a model without sentinels, which get ids of their own"
        )
    return _WithSentinels(vocabulary, len(sentinels))


class _WithSentinels(seqio.SentencePieceVocabulary):
    """A model that holds its sentinels: seqio would fail to add them again."""

    def __init__(self, sentencepiece_model_file: str, sentinels: int):
        super().__init__(sentencepiece_model_file, extra_ids=0)
        self._sentinels = sentinels

    @property
    def extra_ids(self) -> int:
        """How many of the last ids are sentinels."""
        return self._sentinels


def _sentinels(tokenizer: Any) -> list[int]:
    """Ids of the sentinels that a model holds, <extra_id_0> first, as mT5's does."""
    ids = (tokenizer.piece_to_id(f"\u2581<extra_id_{n}>") for n in itertools.count())
    return [*itertools.takewhile(lambda sentinel: sentinel != tokenizer.unk_id(), ids)]


def _unreadable(vocabulary: str, error: Exception) -> str:
    reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    if vocabulary == T5_MODEL:
        return (
            f"T5's vocabulary {T5_MODEL} can't be read ({reason}). Without a network give a copy "
            "of it with --vocabulary FILE, or --vocabulary bytes"
        )
    return (
        f"--vocabulary {vocabulary}: no SentencePiece model can be read there ({reason}). Give "
        f"the path of a .model file, or {BYTES!r}"
    )


class ChosenVocabulary(seqio.Vocabulary):
    """Does what the chosen vocabulary does."""

    def __init__(self) -> None:
        super().__init__()

    @property
    def chosen(self) -> seqio.Vocabulary:
        return load(choice())

    @property
    def bos_id(self) -> int | None:
        return self.chosen.bos_id

    @property
    def eos_id(self) -> int | None:
        return self.chosen.eos_id

    @property
    def unk_id(self) -> int | None:
        return self.chosen.unk_id

    @property
    def extra_ids(self) -> int:
        return self.chosen.extra_ids

    @property
    def _base_vocab_size(self) -> int:
        return self.chosen.vocab_size - self.chosen.extra_ids

    def encode(self, s: Sequence[int] | str) -> Sequence[int]:
        return self.chosen.encode(s)

    def decode(self, ids: Iterable[int]) -> str:
        return self.chosen.decode(ids)

    def encode_tf(self, s: tf.Tensor) -> tf.Tensor:
        return self.chosen.encode_tf(s)

    def decode_tf(self, ids: tf.Tensor) -> tf.Tensor:
        return self.chosen.decode_tf(ids)

    # seqio's base class wants these; `encode` and the others above never come to them.
    _encode = encode
    _decode = decode
    _encode_tf = encode_tf
    _decode_tf = decode_tf

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ChosenVocabulary)

    def __hash__(self) -> int:
        return hash(ChosenVocabulary)

    def __reduce__(self) -> tuple[Callable[[str], seqio.Vocabulary], tuple[str]]:
        """Another process, where nothing was chosen, gets what is chosen here."""
        return load, (choice(),)


DEFAULT = ChosenVocabulary()
t5.data.get_default_vocabulary = lambda: DEFAULT  # T5's tasks call it when they are imported


def output_features(*names_: str) -> dict[str, seqio.Feature]:
    """Features with the default vocabulary, each ending with EOS; inputs and targets unless given.

    Inputs are not required, so that T5's objectives without inputs can share them.
    """
    return {
        name: seqio.Feature(vocabulary=DEFAULT, add_eos=True, required=name != "inputs")
        for name in names_ or ("inputs", "targets")
    }


def model_bytes(vocabulary: seqio.Vocabulary) -> bytes:
    """The file of a SentencePiece vocabulary."""
    if isinstance(vocabulary, ChosenVocabulary):
        vocabulary = vocabulary.chosen
    with tf.io.gfile.GFile(vocabulary.sentencepiece_model_file, "rb") as file:
        return file.read()


def describe(vocabulary: seqio.Vocabulary) -> dict[str, Any]:
    """What a checkpoint remembers of its vocabulary.

    Returns:
      kind ("sentencepiece", "bytes" or a class name), size (with sentinels), sentinels, and for
      SentencePiece file and sha256.
    """
    if isinstance(vocabulary, ChosenVocabulary):
        vocabulary = vocabulary.chosen
    found: dict[str, Any] = {"size": vocabulary.vocab_size, "sentinels": vocabulary.extra_ids}
    if isinstance(vocabulary, seqio.SentencePieceVocabulary):
        content = model_bytes(vocabulary)
        file = vocabulary.sentencepiece_model_file
        digest = hashlib.sha256(content).hexdigest()
        return {"kind": "sentencepiece", "file": file, "sha256": digest, **found}
    if isinstance(vocabulary, seqio.ByteVocabulary):
        return {"kind": BYTES, **found}
    return {"kind": type(vocabulary).__name__, **found}


EOS = 1
