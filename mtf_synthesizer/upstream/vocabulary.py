"""The default vocabulary of tasks: T5's, or the vocabulary that the user chose.

T5's tasks ask for their vocabulary while they are imported. They get `DEFAULT`, which looks up the
choice on use. T5's tasks can then also be trained without a network, with bytes or with any
SentencePiece model.
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
from mtf_synthesizer.model_folder.vocabulary import DEFAULT_VARIABLE

BYTES = "bytes"
T5_MODEL = t5.data.DEFAULT_SPM_PATH
SENTINELS = t5.data.DEFAULT_EXTRA_IDS
BYTE_SENTINELS = 125  # as in ByT5: 384 ids, a multiple of 128

_chosen: list[str] = []


def choose(vocabulary: str | None) -> None:
    """Choose the vocabulary of all tasks without their own vocabulary.

    Args:
      vocabulary: path of a SentencePiece model, or "bytes". None for $MTF_SYNTHESIZER_VOCABULARY
        or, if that is unset, T5's public model.

    Raises:
      errors.UserError: the file can't be read, or T5 can't use its model.
    """
    if vocabulary is not None:  # None is resolved on first use
        load(vocabulary)
    _chosen[:] = [] if vocabulary is None else [vocabulary]  # one assignment: other threads read it


def choice() -> str:
    """Return the choice: "bytes" or the path of a SentencePiece model."""
    return _chosen[0] if _chosen else os.environ.get(DEFAULT_VARIABLE) or T5_MODEL


@functools.cache
def load(vocabulary: str) -> seqio.Vocabulary:
    """Return the vocabulary that a name of `choose` stands for.

    Raises:
      errors.UserError: the file can't be read, or T5 can't use its model.
    """
    if vocabulary == BYTES:
        return seqio.ByteVocabulary(BYTE_SENTINELS)
    result = seqio.SentencePieceVocabulary(vocabulary, extra_ids=0)
    try:
        ids = (result.tokenizer.pad_id(), result.eos_id, result.unk_id)
        sentinels = _sentinels(result.tokenizer)
    except Exception as error:  # TensorFlow's file systems, protobuf or SentencePiece
        raise errors.UserError(_unreadable(vocabulary, error)) from error
    if ids != (0, 1, 2):
        raise errors.UserError(
            f"--vocabulary {vocabulary}: padding, end of sequence and unknown have the ids {ids}, "
            "but T5 needs 0, 1, 2. `mtf_synthesizer data vocabulary` trains such a model"
        )
    if not sentinels:
        return seqio.SentencePieceVocabulary(vocabulary, SENTINELS)
    expected = range(result.vocab_size - 1, result.vocab_size - 1 - len(sentinels), -1)
    if sentinels != [*expected]:
        raise errors.UserError(
            f"--vocabulary {vocabulary}: its sentinel <extra_id_0> has the id {sentinels[0]}, but "
            "T5 needs sentinels as the last ids in descending order, <extra_id_0> as "
            f"{expected[0]}. Give a model without sentinels, to which they are added"
        )
    return _WithSentinels(vocabulary, len(sentinels))


class _WithSentinels(seqio.SentencePieceVocabulary):
    """A model with sentinels of its own, to which seqio would fail to add them again."""

    def __init__(self, sentencepiece_model_file: str, sentinels: int):
        super().__init__(sentencepiece_model_file, extra_ids=0)
        self._sentinels = sentinels

    @property
    def extra_ids(self) -> int:
        """Number of sentinels, which have the last ids."""
        return self._sentinels


def _sentinels(tokenizer: Any) -> list[int]:
    """Return the ids of a model's own sentinels, <extra_id_0> first, as mT5's model has them."""
    ids = (tokenizer.piece_to_id(f"\u2581<extra_id_{n}>") for n in itertools.count())
    return [*itertools.takewhile(lambda sentinel: sentinel != tokenizer.unk_id(), ids)]


def _unreadable(vocabulary: str, error: Exception) -> str:
    reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    if vocabulary == T5_MODEL:
        return (
            f"T5's vocabulary {T5_MODEL} can't be read ({reason}). Without a network give a copy "
            "with --vocabulary FILE, or --vocabulary bytes"
        )
    return (
        f"--vocabulary {vocabulary}: not a readable SentencePiece model ({reason}). Give the path "
        f"of a .model file, or {BYTES!r}"
    )


class ChosenVocabulary(seqio.Vocabulary):
    """A vocabulary that delegates to the chosen vocabulary."""

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

    # seqio's base class requires these methods, which the overridden methods never call.
    _encode = encode
    _decode = decode
    _encode_tf = encode_tf
    _decode_tf = decode_tf

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ChosenVocabulary)

    def __hash__(self) -> int:
        return hash(ChosenVocabulary)

    def __reduce__(self) -> tuple[Callable[[str], seqio.Vocabulary], tuple[str]]:
        """Pickle the choice itself, because another process has chosen nothing."""
        return load, (choice(),)


DEFAULT = ChosenVocabulary()
t5.data.get_default_vocabulary = lambda: DEFAULT  # T5's tasks call this function on import


def output_features(*names: str) -> dict[str, seqio.Feature]:
    """Return features with the default vocabulary, ending with EOS; inputs and targets by default.

    Inputs are not required, so that T5's objectives without inputs can use the same features.
    """
    return {
        name: seqio.Feature(vocabulary=DEFAULT, add_eos=True, required=name != "inputs")
        for name in names or ("inputs", "targets")
    }


def model_bytes(vocabulary: seqio.Vocabulary) -> bytes:
    """Return the content of a SentencePiece vocabulary's file."""
    if isinstance(vocabulary, ChosenVocabulary):
        vocabulary = vocabulary.chosen
    with tf.io.gfile.GFile(vocabulary.sentencepiece_model_file, "rb") as file:
        return file.read()


def describe(vocabulary: seqio.Vocabulary) -> dict[str, Any]:
    """Return a description of a vocabulary for the records of models and caches.

    Returns:
      kind ("sentencepiece", "bytes" or a class name), size (with sentinels) and sentinels; for
      SentencePiece also file and sha256.
    """

    if isinstance(vocabulary, ChosenVocabulary):
        vocabulary = vocabulary.chosen
    common: dict[str, Any] = {"size": vocabulary.vocab_size, "sentinels": vocabulary.extra_ids}
    if isinstance(vocabulary, seqio.SentencePieceVocabulary):
        content = model_bytes(vocabulary)
        file = vocabulary.sentencepiece_model_file
        digest = hashlib.sha256(content).hexdigest()
        return {"kind": "sentencepiece", "file": file, "sha256": digest, **common}
    if isinstance(vocabulary, seqio.ByteVocabulary):
        return {"kind": BYTES, **common}
    return {"kind": type(vocabulary).__name__, **common}


EOS = 1
