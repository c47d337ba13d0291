"""Layout of a submission: its files, their examples and their answers."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from mtf_synthesizer import errors
from mtf_synthesizer.submissions.answers import Answers, Value


@dataclasses.dataclass(frozen=True)
class Identities:
    """Examples of a test set.

    Attributes:
      count: number of examples, which `field` counts from 0.
      field: field of a prediction that identifies its example.
      parents: fields of the groups that the example belongs to, outermost first.
      groups: number of values of the first of `parents`.
    """

    count: int
    field: str = "idx"
    parents: tuple[str, ...] = ()
    groups: int | None = None


class SubmissionRow(NamedTuple):
    """Submitted row of one example: its identity, its groups, and the answer."""

    idx: int
    parents: tuple[int, ...]
    value: Value


@dataclasses.dataclass(frozen=True)
class File:
    """One file of a submission.

    Attributes:
      name: name in the zip.
      tasks: task -> answers, for the tasks whose predictions can fill the file. `predict` decodes
        the first task; a submission has the predictions of one task.
      identities: the examples.
      text: function from rows, in the order of their identities, to the content.
    """

    name: str
    tasks: Mapping[str, Answers]
    identities: Identities
    text: Callable[[Sequence[SubmissionRow]], str]

    @property
    def stem(self) -> str:
        return self.name.rpartition(".")[0]

    def named(self, answer: str) -> Value | None:
        """Return the answer that a user names; None if unknown."""
        values = (answers.named(answer) for answers in self.tasks.values())
        return next((value for value in values if value is not None), None)


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """A leaderboard.

    Attributes:
      name: as in --benchmark.
      files: files of a submission, in the order of the leaderboard's own list.
    """

    name: str
    files: tuple[File, ...]

    def tasks(self, chosen: Sequence[str] = ()) -> list[str]:
        """Return the tasks that fill all files, or the named files (as in `file`), each once."""
        if not chosen:
            return [next(iter(file.tasks)) for file in self.files]
        named_files = ((name, self.file(name)) for name in chosen)
        tasks = (
            name if name in file.tasks else next(iter(file.tasks)) for name, file in named_files
        )
        return list(dict.fromkeys(tasks))

    def file(self, name: str) -> File:
        """Return the file with a name, without extension and in any case, or of a task.

        Raises:
          errors.UserError: the file is unknown.
        """
        by_name = {file.stem: file for file in self.files}
        by_name |= {task: file for file in self.files for task in file.tasks}
        in_this_case = {known.lower(): known for known in by_name}.get(name.lower(), name)
        errors.check(f"task of {self.name}", in_this_case, by_name)
        return by_name[in_this_case]


def tsv(rows: Sequence[SubmissionRow]) -> str:
    """Format rows in GLUE's layout: a header, then index and prediction."""
    lines = (f"{row.idx}\t{_cell(row.value)}\n" for row in rows)
    return "index\tprediction\n" + "".join(lines)


def _cell(value: Value) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return " ".join(str(value).split())  # tabs and line ends of free text would break the table


def json_lines(rows: Sequence[SubmissionRow]) -> str:
    """Format rows in SuperGLUE's layout: an object with idx and label in each line."""
    return "".join(json.dumps({"idx": row.idx, "label": row.value}) + "\n" for row in rows)


def nested_json_lines(rows: Sequence[SubmissionRow]) -> str:
    """Format rows in MultiRC's layout: a passage per line, with its questions and answers."""
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
