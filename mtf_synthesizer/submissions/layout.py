"""What a leaderboard wants: the files of a submission, their examples and their answers."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from mtf_synthesizer import errors
from mtf_synthesizer.submissions.answers import Answers, Value


@dataclasses.dataclass(frozen=True)
class Identities:
    """Which examples a test set has.

    Attributes:
      count: how many; `field` counts them from 0.
      field: the field of a prediction that says which example it is of.
      parents: fields that say what else the example belongs to, outermost first.
      groups: how many values the first of `parents` has.
    """

    count: int
    field: str = "idx"
    parents: tuple[str, ...] = ()
    groups: int | None = None


class SubmissionRow(NamedTuple):
    """What is submitted for one example: its identity, what it belongs to, and the answer."""

    idx: int
    parents: tuple[int, ...]
    value: Value


@dataclasses.dataclass(frozen=True)
class File:
    """One file of a submission.

    Attributes:
      name: in the zip.
      tasks: the tasks whose predictions can fill it, and how these are read. `predict` decodes the
        first; a submission has the predictions of one.
      identities: of the examples.
      text: makes the content from rows in the order of their identities.
    """

    name: str
    tasks: Mapping[str, Answers]
    identities: Identities
    text: Callable[[Sequence[SubmissionRow]], str]

    @property
    def stem(self) -> str:
        return self.name.rpartition(".")[0]

    def named(self, answer: str) -> Value | None:
        """The answer that a user calls so; None if there is none."""
        values = (answers.named(answer) for answers in self.tasks.values())
        return next((value for value in values if value is not None), None)


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A leaderboard.

    Attributes:
      name: as in --benchmark.
      files: of a submission, in the order of the leaderboard's own list.
    """

    name: str
    files: tuple[File, ...]

    def tasks(self, chosen: Sequence[str] = ()) -> list[str]:
        """The tasks that fill the files; or those that a user names as in `file`, each once."""
        if not chosen:
            return [next(iter(file.tasks)) for file in self.files]
        found = ((name, self.file(name)) for name in chosen)
        tasks = (name if name in file.tasks else next(iter(file.tasks)) for name, file in found)
        return list(dict.fromkeys(tasks))

    def file(self, name: str) -> File:
        """The file that a user means by its name without ending, in any case, or by a task.

        Raises:
          errors.UserError: there is none.
        """
        by_name = {file.stem: file for file in self.files}
        by_name |= {task: file for file in self.files for task in file.tasks}
        in_this_case = {known.lower(): known for known in by_name}.get(name.lower(), name)
        errors.check(f"task of {self.name}", in_this_case, by_name)
        return by_name[in_this_case]


def tsv(rows: Sequence[SubmissionRow]) -> str:
    """GLUE's layout: a header, then index and prediction."""
    lines = (f"{row.idx}\t{_cell(row.value)}\n" for row in rows)
    return "index\tprediction\n" + "".join(lines)


def _cell(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return " ".join(str(value).split())  # tabs and line ends of free text would break the table


def json_lines(rows: Sequence[SubmissionRow]) -> str:
    """SuperGLUE's layout: an object with idx and label in each line."""
    return "".join(json.dumps({"idx": row.idx, "label": row.value}) + "\n" for row in rows)


def nested_json_lines(rows: Sequence[SubmissionRow]) -> str:
    """MultiRC's layout: a passage in each line, with its questions and their answers."""
    passages: dict[int, dict[int, list[dict[str, Value]]]] = {}
    for row in rows:
        passage, question = row.parents
        answers = passages.setdefault(passage, {}).setdefault(question, [])
        answers.append({"idx": row.idx, "label": row.value})
    lines = (
        {"idx": passage, "passage": {"questions": _questions(questions)}}
        for passage, questions in passages.items()
    )
    return "".join(json.dumps(line) + "\n" for line in lines)


def _questions(questions: Mapping[int, list[dict[str, Value]]]) -> list[dict[str, object]]:
    return [{"idx": idx, "answers": answers} for idx, answers in questions.items()]
