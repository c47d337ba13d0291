"""Training of SentencePiece vocabularies for T5's models."""

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

# Bytes; the trainer's default. Given explicitly, it would be written into the model, whose SHA-256
# would then differ from that of release 0.1.
LONGEST_LINE = 4192
_CHARACTERS = re.compile(r"smaller than required_chars\. \d+ vs (\d+)")
_TOO_HIGH = re.compile(r"Vocabulary size too high .* value <= (\d+)")


class LineCounts(NamedTuple):
    """Numbers of lines that were used and skipped.

    Attributes:
      used: sentences that trained the vocabulary.
      long: skipped lines of more than `LONGEST_LINE` bytes.
      binary: skipped lines with a NUL character.
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
    """Train a unigram SentencePiece model with T5's ids: padding 0, end 1, unknown 2.

    Training uses one thread, so that equal sentences give equal bytes.

    Args:
      sentences: the training text.
      pieces: size of the vocabulary.
      character_coverage: share of the text whose characters get their own piece.

    Returns:
      The content of a SentencePiece model file.
    """
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        vocab_size=pieces,
        model_type="unigram",
        character_coverage=character_coverage,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def train_apart(sentences: Iterable[str], pieces: int) -> bytes:
    """Train a vocabulary in another process, for a process that has loaded TensorFlow.

    With TensorFlow 2.12, SentencePiece's trainer crashes: both include protobuf.

    Args:
      sentences: the training text, without line breaks.
      pieces: size of the vocabulary.

    Raises:
      RuntimeError: the training failed; the message has the process's output.
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
    """Train a vocabulary on text files with one sentence per line, plain or `.gz`.

    Args:
      inputs: the files.
      output: path of the model, usually ending in .model.
      pieces: size of the vocabulary; T5's models add 100 sentinels.
      character_coverage: share of the text whose characters get pieces; the rarest characters
        beyond it are unknown.

    Raises:
      errors.UserError: a file is missing or broken, no line can be used, or the text is too small
        or too large for this size.
    """
    missing = [str(path) for path in inputs if not path.is_file()]
    if missing:
        raise errors.UserError(f"--input {missing[0]}: no such file")
    saving.check_file(output)
    if output.resolve() in [path.resolve() for path in inputs]:
        raise errors.UserError(f"--output {output} is also an --input: choose another --output")
    sentences = _Usable(itertools.chain.from_iterable(map(files.lines, inputs)))
    try:
        model = train_sentencepiece(sentences, pieces, character_coverage)
    except (RuntimeError, OSError) as error:  # SentencePiece can't reach the size
        raise errors.UserError(_untrained(pieces, sentences.lines, error)) from error
    saving.write_bytes(output, model)
    return sentences.lines


def _untrained(pieces: int, lines: LineCounts, error: Exception) -> str:
    if not lines.used:
        return f"--input: no usable line of text ({lines}). Give one sentence per line"
    most = _TOO_HIGH.search(str(error))
    if most is not None:
        return f"--size {pieces}: the text has too few words. Give at most {most[1]}, or more text"
    needed = _CHARACTERS.search(str(error))
    if needed is None:
        return f"--size {pieces}: {' '.join(str(error).split())}"
    return (
        f"--size {pieces}: too small, because every character of the text gets a piece. Give at "
        f"least {needed[1]}, or leave rare characters unknown with --character_coverage 0.9995"
    )


class _Usable(Iterator[str]):
    """Iterator over the sentences that SentencePiece can use, which counts skipped lines."""

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
