"""Questions: SQuAD 1.1 and definite pronoun resolution (DPR).

T5's `en_mix` and its SuperGLUE mixture contain them besides GLUE and SuperGLUE.
"""

import itertools
from collections.abc import Iterator, Sequence

from mtf_synthesizer.data import files
from mtf_synthesizer.data.records import Record
from mtf_synthesizer.data.spec import DataError, Dataset, Row, Split
from mtf_synthesizer.files.paths import Path


def squad(paths: Sequence[Path]) -> Iterator[Row]:
    """Yield the questions of SQuAD's JSON, each with its paragraph and its answers.

    Raises:
      DataError: a file is not JSON, or not nested like SQuAD.
    """
    for path in paths:
        document = files.parsed("\n".join(files.lines(path)), str(path))
        try:
            if not isinstance(document, dict):
                raise DataError(f"{path}: expected a JSON object")
            yield from _questions(Record(path, None, document))
        except DataError as error:
            raise DataError(
                f"{error}. SQuAD 1.1 is nested, data > paragraphs > qas > answers"
            ) from error


def _questions(document: Record) -> Iterator[Row]:
    for article in document.parts("data"):
        title = article.text("title") if "title" in article.fields else ""
        for paragraph in article.parts("paragraphs"):
            for question in paragraph.parts("qas"):
                answers = question.parts("answers")
                yield {
                    "id": question.text("id"),
                    "title": title,
                    "context": paragraph.text("context"),
                    "question": question.text("question"),
                    "answers": {
                        "text": [answer.text("text") for answer in answers],
                        "answer_start": [answer.integer("answer_start") for answer in answers],
                    },
                }


def pronouns(paths: Sequence[Path]) -> Iterator[Row]:
    """Yield rows from blocks of five lines.

    The lines are sentence, pronoun, two candidates with a comma between, the right candidate, and
    a blank line.

    Raises:
      DataError: lines are missing, or the right candidate is not one of the two.
    """
    for path in paths:
        lines = (line.strip() for line in files.lines(path))
        numbered = enumerate(lines, start=1)
        while block := list(itertools.islice(numbered, 5)):
            yield _pronoun(path, block)


def _pronoun(path: Path, block: list[tuple[int, str]]) -> Row:
    texts = [text for _, text in block]
    candidates = [text.strip() for text in texts[2].split(",")] if len(texts) > 3 else []
    if len(candidates) != 2 or texts[3] not in candidates or any(texts[4:]):
        raise DataError(
            f"{path}: line {block[0][0]}: expected a sentence, the pronoun, two candidates with a "
            f"comma between, the right one and an empty line, not {texts!r}"[:400]
        )
    return {
        "sentence": texts[0],
        "pronoun": texts[1],
        "candidates": candidates,
        "label": candidates.index(texts[3]),
    }


SQUAD = Dataset(
    "squad/v1.1:3.0.0",
    (
        Split("train", ("train-v1.1.json",), squad, 87_599),
        Split("validation", ("dev-v1.1.json",), squad, 10_570),
    ),
)
DPR = Dataset(
    "definite_pronoun_resolution:1.1.0",
    (
        Split("train", ("train.c.txt",), pronouns, 1_322),
        Split("test", ("test.c.txt",), pronouns, 564),
    ),
)
DATASETS = (SQUAD, DPR)
