"""Trains SentencePiece vocabularies that T5's models can use."""

import io
import itertools
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import sentencepiece

from mtf_synthesizer import errors
from mtf_synthesizer.data import files
from mtf_synthesizer.files import saving
from mtf_synthesizer.files.paths import Path

LONGEST_LINE = 4192  # bytes; SentencePiece's trainer leaves out longer ones without a word
_CHARACTERS = re.compile(r"smaller than required_chars\. \d+ vs (\d+)")


class LineCounts(NamedTuple):
    """How many lines of the text files were used, and how many were left out and why.

    Attributes:
      used: sentences the vocabulary was trained on.
      long: lines of more than `LONGEST_LINE` bytes.
      binary: lines with a NUL character.
    """

    used: int
    long: int
    binary: int

    def __str__(self) -> str:
        parts = [f"{self.used:,} lines"]
        parts += [f"{self.long:,} over {LONGEST_LINE:,} bytes left out"] if self.long else []
        parts += [f"{self.binary:,} with NUL left out"] if self.binary else []
        return ", ".join(parts)


def train_sentencepiece(
    sentences: Iterable[str], pieces: int, character_coverage: float = 1.0
) -> bytes:
    """Trains a unigram SentencePiece model with T5's ids: padding 0, end 1, unknown 2.

    One thread, so that the same sentences give the same bytes. `character_coverage` is the share
    of the text whose characters get a piece of their own.
    """
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        vocab_size=pieces,
        model_type="unigram",
        character_coverage=character_coverage,
        max_sentence_length=LONGEST_LINE,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def train_apart(sentences: Iterable[str], pieces: int) -> bytes:
    """The same in a process of its own, for one that has loaded TensorFlow.

    With TensorFlow 2.12 SentencePiece's trainer crashes: both bring protobuf.

    Args:
      sentences: none has a line break.
      pieces: size of the vocabulary.

    Raises:
      RuntimeError: it can't be trained; with what the process said.
    """
    trained = subprocess.run(
        [sys.executable, "-m", __name__, str(pieces)],
        input="\n".join(sentences).encode(),
        capture_output=True,
    )
    if trained.returncode:
        raise RuntimeError(f"no vocabulary was trained: {trained.stderr.decode(errors='replace')}")
    return trained.stdout


def train_on_files(
    inputs: Sequence[Path], output: Path, pieces: int, character_coverage: float = 1.0
) -> LineCounts:
    """Trains a vocabulary on text files, one sentence a line, plain or `.gz`.

    Args:
      inputs: the files.
      output: where the model goes, by custom a name ending in .model.
      pieces: size of the vocabulary; T5's models add 100 sentinels to it.
      character_coverage: share of the text whose characters get pieces; the rarest others are
        unknown.

    Raises:
      errors.UserError: a file is missing or broken, no line can be used, or the text is too small
        or too large for so many pieces.
    """
    missing = [str(path) for path in inputs if not path.is_file()]
    if missing:
        raise errors.UserError(f"--input {missing[0]}: no such file")
    saving.check_file(output)
    if output.resolve() in [path.resolve() for path in inputs]:
        raise errors.UserError(f"--output {output} is an --input, which would be lost")
    sentences = _Usable(itertools.chain.from_iterable(map(files.lines, inputs)))
    try:
        model = train_sentencepiece(sentences, pieces, character_coverage)
    except (RuntimeError, OSError) as error:  # what SentencePiece raises for sizes it can't reach
        raise errors.UserError(_untrained(pieces, sentences.lines, error)) from error
    saving.write_bytes(output, model)
    return sentences.lines


def _untrained(pieces: int, lines: LineCounts, error: Exception) -> str:
    if not lines.used:
        return f"--input: no line of text that can be used ({lines}). Give a sentence a line"
    needed = _CHARACTERS.search(str(error))
    if needed is None:
        return f"--size {pieces}: {' '.join(str(error).split())}"
    return (
        f"--size {pieces}: too small, as every character of the text gets a piece. Give at least "
        f"{needed[1]}, or leave the rarest characters unknown with --character_coverage 0.9995"
    )


class _Usable(Iterator[str]):
    """The sentences that SentencePiece can use, counted beside those that are left out."""

    def __init__(self, lines: Iterable[str]):
        self._lines = (line for line in lines if line.strip())
        self.lines = LineCounts(0, 0, 0)

    def __next__(self) -> str:
        for line in self._lines:
            used, long, binary = self.lines
            if "\0" in line:
                self.lines = LineCounts(used, long, binary + 1)
            elif len(line.encode()) > LONGEST_LINE:
                self.lines = LineCounts(used, long + 1, binary)
            else:
                self.lines = LineCounts(used + 1, long, binary)
                return line
        raise StopIteration


if __name__ == "__main__":
    lines = sys.stdin.buffer.read().decode().split("\n")
    sys.stdout.buffer.write(train_sentencepiece(lines, int(sys.argv[1])))
