"""Predictions joined to the files of a submission by identity, never by the order of lines."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from mtf_synthesizer import errors
from mtf_synthesizer.submissions.answers import Answer, Value
from mtf_synthesizer.submissions.layout import Benchmark, File, SubmissionRow
from mtf_synthesizer.submissions.prediction_files import Prediction

SPLIT = "test"
_SHOWN = 3  # number of offenders in a message
_SHOWN_LETTERS = 30  # number of letters of a decoded text in a message


@dataclasses.dataclass(frozen=True)
class Filled:
    """A file of a submission with its content.

    Attributes:
      file: the file.
      task: the task whose predictions it holds.
      rows: rows in the order of their identities.
      replaced: number of decoded texts that were not answers and were replaced.
      clipped: number of decoded numbers out of range.
    """

    file: File
    task: str
    rows: tuple[SubmissionRow, ...]
    replaced: int
    clipped: int


def fill(
    benchmark: Benchmark,
    predictions: Iterable[Prediction],
    replacements: Mapping[str, Value],
    partial: bool,
    mixed_checkpoints: bool = False,
) -> list[Filled]:
    """Fill the files of a submission.

    Args:
      benchmark: the leaderboard.
      predictions: predictions in any order; other tasks are ignored.
      replacements: name of a file -> answer for a decoded text that is not an answer.
      partial: whether files without any prediction may be left out.
      mixed_checkpoints: whether predictions may come from several checkpoints.

    Raises:
      errors.UserError: all problems, one line for each file.
    """
    by_task: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        by_task.setdefault(prediction.fields["task"], []).append(prediction)
    filled, problems = [], []
    for file in benchmark.files:
        file_predictions = [
            prediction for task in file.tasks for prediction in by_task.get(task, [])
        ]
        if file_predictions or not partial:
            try:
                filled.append(_filled(file, file_predictions, replacements.get(file.name)))
            except errors.UserError as error:
                problems.append(str(error))
    if not filled and not problems:
        problems = [f"no predictions of any task of {benchmark.name}"]
    if not mixed_checkpoints:
        tasks = [task for file in benchmark.files for task in file.tasks]
        problems += _mixed_checkpoints(
            prediction for task in tasks for prediction in by_task.get(task, [])
        )
    if problems:
        raise errors.UserError("\n  ".join(["nothing was written:", *problems]))
    return filled


def _mixed_checkpoints(predictions: Iterable[Prediction]) -> list[str]:
    """Return one sentence if predictions come from several checkpoints, else nothing."""
    checkpoints: dict[tuple[object, object], Prediction] = {}
    for prediction in predictions:
        identity = prediction.fields.get("step"), prediction.fields.get("checkpoint")
        checkpoints.setdefault(identity, prediction)
    if len(checkpoints) < 2:
        return []
    shown = "; ".join(
        f"step {step}, checkpoint {checkpoint} ({prediction.place})"
        for (step, checkpoint), prediction in checkpoints.items()
    )
    return [
        f"the predictions come from {len(checkpoints)} checkpoints: {shown}. Predict all with one, "
        "or give --mixed_checkpoints if each task has its own model"
    ]


def _filled(file: File, predictions: Sequence[Prediction], replacement: Value | None) -> Filled:
    task = _task(file, predictions)
    joined = _by_identity(file, task, predictions)
    answers_or_none = [file.tasks[task].read(prediction.fields) for prediction in joined]
    unread = [
        prediction
        for prediction, answer in zip(joined, answers_or_none, strict=True)
        if answer is None
    ]
    substitute = None if replacement is None else Answer(replacement)
    answers = [
        answer
        for answer in (candidate or substitute for candidate in answers_or_none)
        if answer is not None
    ]
    if len(answers) < len(joined):
        raise _no_answers(file, task, unread)
    rows = [
        _row(file, prediction, answer) for prediction, answer in zip(joined, answers, strict=True)
    ]
    clipped = sum(answer.is_clipped for answer in answers)
    return Filled(file, task, tuple(rows), len(unread), clipped)


def _task(file: File, predictions: Sequence[Prediction]) -> str:
    """Return the task of the predictions; check that all are of one task and the test split."""
    tasks = sorted({prediction.fields["task"] for prediction in predictions})
    if not tasks:
        raise errors.UserError(
            f"{file.name}: no predictions of {' or '.join(file.tasks)}. Predict this task, or "
            "leave the file out with --partial"
        )
    if len(tasks) > 1:
        raise errors.UserError(
            f"{file.name}: predictions of {' and of '.join(tasks)}. Give those of one task"
        )
    for prediction in predictions:
        if prediction.fields["split"] != SPLIT:
            raise errors.UserError(
                f"{file.name}: {prediction.place} belongs to the split "
                f"{prediction.fields['split']!r}. Predict the split {SPLIT!r}"
            )
    return tasks[0]


def _by_identity(file: File, task: str, predictions: Sequence[Prediction]) -> list[Prediction]:
    """Return the predictions in the order of their identities, one for each example."""
    field, count = file.identities.field, file.identities.count
    by_index: dict[int, Prediction] = {}
    repeated: list[tuple[Prediction, Prediction]] = []
    extra = []
    for prediction in predictions:
        index = _whole(prediction, field)
        if not 0 <= index < count:
            extra.append(prediction)
        elif index in by_index:
            repeated.append((by_index[index], prediction))
        else:
            by_index[index] = prediction
    missing = [index for index in range(count) if index not in by_index]
    problems = []
    if missing:
        shown = _first([f"{field} {index}" for index in missing])
        problems.append(f"{len(missing)} of {count} examples have no prediction: {shown}")
    if repeated:
        shown = _first(
            [
                f"{field} {first.fields[field]} ({first.place} and {second.place})"
                for first, second in repeated
            ]
        )
        problems.append(f"{len(repeated)} of {count} examples have several predictions: {shown}")
    if extra:
        shown = _places(extra, field)
        problems.append(
            f"{len(extra)} of no example, as {field} goes from 0 to {count - 1}: {shown}"
        )
    if problems:
        repeated_files = {prediction.file for pair in repeated for prediction in pair}
        remedy = (
            f"Give the task once, not in {' and in '.join(sorted(map(str, repeated_files)))}"
            if len(repeated_files) > 1 and not (missing or extra)
            else "Predict the whole official test set"
        )
        raise errors.UserError(f"{file.name} from {task}: {'; '.join(problems)}. {remedy}")
    _check_groups(file, task, by_index.values())
    return [by_index[index] for index in range(count)]


def _check_groups(file: File, task: str, predictions: Iterable[Prediction]) -> None:
    if file.identities.groups is None:
        return
    field = file.identities.parents[0]
    groups = {_whole(prediction, field) for prediction in predictions}
    if len(groups) != file.identities.groups:
        raise errors.UserError(
            f"{file.name} from {task}: {field} has {len(groups)} values, but the official test set "
            f"has {file.identities.groups}. Predict the official test set"
        )


def _no_answers(file: File, task: str, unread: Sequence[Prediction]) -> errors.UserError:
    shown = _first(
        [f"{_short(prediction.fields['output'])} ({prediction.place})" for prediction in unread]
    )
    return errors.UserError(
        f"{file.name} from {task}: {len(unread)} of {file.identities.count} decoded texts are not "
        f"answers: {shown}; allowed: {file.tasks[task].allowed}. Train longer, or name a "
        f"replacement, for example --invalid {file.stem}=..."
    )


def _short(text: str) -> str:
    return repr(text) if len(text) <= _SHOWN_LETTERS else f"{text[:_SHOWN_LETTERS]!r}..."


def _row(file: File, prediction: Prediction, answer: Answer) -> SubmissionRow:
    parents = tuple(_whole(prediction, field) for field in file.identities.parents)
    return SubmissionRow(_whole(prediction, file.identities.field), parents, answer.value)


def _whole(prediction: Prediction, field: str) -> int:
    """Return the whole number in a field."""
    value = prediction.fields.get(field)
    if type(value) is not int:
        raise errors.UserError(
            f"{prediction.place}: {field} must be a whole number, not {value!r:.60}. It identifies "
            "the example of the prediction"
        )
    return value


def _places(predictions: Sequence[Prediction], field: str) -> str:
    return _first(
        [f"{field} {prediction.fields[field]} ({prediction.place})" for prediction in predictions]
    )


def _first(offenders: Sequence[str]) -> str:
    more = len(offenders) - _SHOWN
    return ", ".join(offenders[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
