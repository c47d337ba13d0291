"""Dialogue: PersonaChat as ConvAI2 published it, in ParlAI's text layout.

    1 your persona: i have two dogs.
    2 hi , how are you ?<TAB>fine , walking my dogs .

Each exchange is an example: the history so far, and the reply.
"""

import functools
import re
from collections.abc import Iterator, Sequence

from mtf_synthesizer.data import files
from mtf_synthesizer.data.spec import DataError, Dataset, Row, Split
from mtf_synthesizer.files.paths import Path

_PERSONA = "your persona: "
_NUMBERED = re.compile(r"(\d{1,9}) (.*)")

Exchange = tuple[str, str]  # utterance of the other speaker, reply


def exchanges(paths: Sequence[Path]) -> Iterator[Row]:
    r"""Yield an example for each reply, with dialogue number and turn, both from 1.

    `persona` and `history` are lines joined by \n. In `history` the speakers alternate; the other
    speaker is first and last.
    """
    dialogues = (dialogue for path in paths for dialogue in _dialogues(path))
    for number, (persona, turns) in enumerate(dialogues, start=1):
        history: list[str] = []
        for turn, (utterance, reply) in enumerate(turns, start=1):
            history.append(utterance)
            yield {
                "persona": "\n".join(persona),
                "history": "\n".join(history),
                "reply": reply,
                "dialogue": number,
                "turn": turn,
            }
            history.append(reply)


def _dialogues(path: Path) -> Iterator[tuple[list[str], list[Exchange]]]:
    """Yield persona lines and exchanges of each dialogue: line number 1 starts a new one."""
    persona: list[str] = []
    turns: list[Exchange] = []
    expected = 1
    for number, line in enumerate(files.lines(path), start=1):
        place = f"{path}: line {number}"
        index, text = _numbered(line, place)
        if index == 1 and number > 1:
            yield persona, turns
            persona, turns, expected = [], [], 1
        if index != expected:
            raise DataError(
                f"{place}: has number {index}, but {expected} or a new dialogue's 1 is expected: "
                "lines are missing. Download the file again"
            )
        expected += 1
        if text.startswith(_PERSONA):
            persona.append(text.removeprefix(_PERSONA))
        else:
            turns.append(_exchange(text, place))
    if expected > 1:
        yield persona, turns


def _numbered(line: str, place: str) -> tuple[int, str]:
    parts = _NUMBERED.fullmatch(line)
    if not parts:
        raise DataError(f"{place}: must begin with its number and a blank, not {line[:60]!r}")
    return int(parts[1]), parts[2]


def _exchange(text: str, place: str) -> Exchange:
    columns = text.split("\t")  # further columns are candidate replies, which are unused
    if len(columns) < 2:
        raise DataError(
            f"{place}: expected 'your persona: ...' or an utterance, a tab and the reply, not "
            f"{text[:60]!r}. Use {{train,valid}}_self_original[_no_cands].txt of ConvAI2"
        )
    return columns[0], columns[1]


def tenths(paths: Sequence[Path], kept: Sequence[int]) -> Iterator[Row]:
    """Yield the exchanges of dialogues whose number ends in one of the digits `kept`."""
    return (row for row in exchanges(paths) if row["dialogue"] % 10 in kept)


_FEATURES = {"persona": str, "history": str, "reply": str, "dialogue": int, "turn": int}
_NAMES = ("{}_self_original_no_cands.txt", "{}_self_original.txt")

PERSONACHAT = Dataset(
    "synthesizer_personachat:1.0.0",
    tuple(
        Split(name, (pattern.format(part),), exchanges, count)
        for name, part, count in (("train", "train", 131_438), ("validation", "valid", 7_801))
        for pattern in _NAMES
    ),
    _FEATURES,
)
# For use without the training file: the 1,000 dialogues of the validation file, split by the last
# digit of their number. Its figures are not comparable with published figures.
PERSONACHAT_SMALL = Dataset(
    "synthesizer_personachat_small:1.0.0",
    tuple(
        Split(name, (pattern.format("valid"),), functools.partial(tenths, kept=digits), count)
        for name, digits, count in (
            ("train", range(8), 6_238),
            ("validation", [8], 784),
            ("test", [9], 779),
        )
        for pattern in _NAMES
    ),
    _FEATURES,
)
DATASETS = (PERSONACHAT, PERSONACHAT_SMALL)
