"""Symbols of the synthetic tasks, and the vocabulary that numbers them.

All synthetic tasks share one vocabulary, so that a model can be trained on a mixture of them and
evaluated on a task that it was not trained on.
"""

from collections.abc import Iterable, Sequence

import seqio
import tensorflow as tf

BLANK = "_"  # place of an answer
BAR = "|"  # separator between the parts of a question
DIGITS = tuple("0123456789")
OPERATORS = ("[MIN", "[MAX", "[MED", "[SM")
CLOSE = "]"
BRACKETS = {"(": ")", "<": ">", "{": "}"}  # opening -> closing
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz")
KEYS = tuple(f"k{number}" for number in range(32))
VALUES = tuple(f"v{number}" for number in range(32))

_RESERVED = ("<pad>", "</s>", "<unk>")  # the ids 0, 1, 2, as T5 needs them
SYMBOLS = (
    *_RESERVED,
    BLANK,
    BAR,
    *DIGITS,
    "+",
    "=",
    *OPERATORS,
    CLOSE,
    *BRACKETS,
    *BRACKETS.values(),
    *LETTERS,
    *KEYS,
    *VALUES,
)
IDS = {symbol: number for number, symbol in enumerate(SYMBOLS)}
PAD_ID, EOS_ID, UNKNOWN_ID = 0, 1, 2
BLANK_ID = IDS[BLANK]


class SymbolVocabulary(seqio.Vocabulary):
    """Vocabulary with one id for each of `SYMBOLS`; text is symbols separated by spaces."""

    @property
    def bos_id(self) -> int | None:
        return None

    @property
    def eos_id(self) -> int | None:
        return EOS_ID

    @property
    def unk_id(self) -> int | None:
        return UNKNOWN_ID

    @property
    def _base_vocab_size(self) -> int:
        return len(SYMBOLS)

    def _encode(self, s: str) -> Sequence[int]:
        return [IDS.get(symbol, UNKNOWN_ID) for symbol in s.split()]

    def _decode(self, ids: Iterable[int]) -> str:
        return " ".join(SYMBOLS[number] for number in ids if number not in (PAD_ID, EOS_ID))

    def _encode_tf(self, s: tf.Tensor) -> tf.Tensor:
        # tf.equal, because T5 switches TensorFlow to version 1, where == compares identities.
        same = tf.equal(tf.strings.split(s)[:, None], tf.constant(SYMBOLS))  # [length, symbols]
        ids = tf.argmax(tf.cast(same, tf.int32), axis=-1, output_type=tf.int32)
        return tf.where(tf.reduce_any(same, axis=-1), ids, tf.fill(tf.shape(ids), UNKNOWN_ID))

    def _decode_tf(self, ids: tf.Tensor) -> tf.Tensor:
        # Each printed symbol begins with a space; the first space of a row is stripped.

        shown = ["" if number <= EOS_ID else f" {symbol}" for number, symbol in enumerate(SYMBOLS)]
        text = tf.strings.reduce_join(tf.gather(tf.constant(shown), ids), axis=-1)
        return tf.strings.strip(text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SymbolVocabulary)

    def __hash__(self) -> int:
        return hash(SymbolVocabulary)


VOCABULARY = SymbolVocabulary()
