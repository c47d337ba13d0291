"""Trains SentencePiece vocabularies that T5's models can use."""

import io
import itertools
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence

import sentencepiece

from mtf_synthesizer import names, saving
from mtf_synthesizer.data import files
from mtf_synthesizer.paths import Path


def train_sentencepiece(sentences: Iterable[str], pieces: int) -> bytes:
    """Trains a unigram SentencePiece model with T5's ids: padding 0, end 1, unknown 2.

    One thread, so that the same sentences give the same bytes.
    """
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=model,
        vocab_size=pieces,
        model_type="unigram",
        character_coverage=1.0,
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


def train_on_files(inputs: Sequence[Path], output: Path, pieces: int) -> int:
    """Trains a vocabulary on text files, one sentence a line, plain or `.gz`.

    Args:
      inputs: the files.
      output: where the model goes, by custom a name ending in .model.
      pieces: size of the vocabulary; T5's models add 100 sentinels to it.

    Returns:
      The number of sentences.

    Raises:
      names.UserError: a file is missing or broken, or the text is too small or too large for so
        many pieces.
    """
    missing = [str(path) for path in inputs if not path.is_file()]
    if missing:
        raise names.UserError(f"--input {missing[0]}: no such file")
    saving.check_file(output)
    if output.resolve() in [path.resolve() for path in inputs]:
        raise names.UserError(f"--output {output} is an --input, which would be lost")
    sentences = _Counted(itertools.chain.from_iterable(map(files.lines, inputs)))
    try:
        model = train_sentencepiece(sentences, pieces)
    except (RuntimeError, OSError) as error:  # what SentencePiece raises for sizes it can't reach
        raise names.UserError(f"--size {pieces}: {' '.join(str(error).split())}") from error
    saving.write_bytes(output, model)
    return sentences.count


class _Counted(Iterator[str]):
    """Counts the sentences that are not blank, and leaves out the others."""

    def __init__(self, lines: Iterable[str]):
        self._lines = (line for line in lines if line.strip())
        self.count = 0

    def __next__(self) -> str:
        line = next(self._lines)
        self.count += 1
        return line


if __name__ == "__main__":
    lines = sys.stdin.buffer.read().decode().split("\n")
    sys.stdout.buffer.write(train_sentencepiece(lines, int(sys.argv[1])))
