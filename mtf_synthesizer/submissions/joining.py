"""Puts predictions into the files of a submission: by identity, never by the order of lines."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from mtf_synthesizer import errors
from mtf_synthesizer.submissions.answers import Answer, Value
from mtf_synthesizer.submissions.layout import Benchmark, File, SubmissionRow
from mtf_synthesizer.submissions.prediction_files import Prediction

SPLIT = "test"
_SHOWN = 3  # offenders in a message
_SHOWN_LETTERS = 30  # of a decoded text


@dataclasses.dataclass(frozen=True)
class Filled:
    """A file of a submission and what it was made of.

    Attributes:
      file: which.
      task: whose predictions it holds.
      rows: in the order of their identities.
      replaced: how many decoded texts were no answer and got the one the user named.
      clipped: how many decoded numbers were out of range.
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
    """The files of a submission.

    Args:
      benchmark: whose.
      predictions: in any order; those of other tasks are left out.
      replacements: name of a file -> the answer where a decoded text is none.
      partial: whether files without any prediction may be left out.
      mixed_checkpoints: whether predictions may come from several checkpoints.

    Raises:
      errors.UserError: with everything that is wrong, a line for each file.
    """
    by_task: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        by_task.setdefault(prediction.fields["task"], []).append(prediction)
    filled, wrong = [], []
    for file in benchmark.files:
        found = [prediction for task in file.tasks for prediction in by_task.get(task, [])]
        if found or not partial:
            try:
                filled.append(_filled(file, found, replacements.get(file.name)))
            except errors.UserError as error:
                wrong.append(str(error))
    if not filled and not wrong:
        wrong = [f"no predictions of any task of {benchmark.name}"]
    if not mixed_checkpoints:
        tasks = [task for file in benchmark.files for task in file.tasks]
        wrong += _mixed_checkpoints(each for task in tasks for each in by_task.get(task, []))
    if wrong:
        raise errors.UserError("\n  ".join(["nothing was written:", *wrong]))
    return filled


def _mixed_checkpoints(predictions: Iterable[Prediction]) -> list[str]:
    """A sentence if predictions come from several checkpoints."""
    found: dict[tuple[object, object], Prediction] = {}
    for prediction in predictions:
        identity = prediction.fields.get("step"), prediction.fields.get("checkpoint")
        found.setdefault(identity, prediction)
    if len(found) < 2:
        return []
    shown = "; ".join(
        f"step {step}, checkpoint {checkpoint} ({prediction.place})"
        for (step, checkpoint), prediction in found.items()
    )
    return [
        f"the predictions come from {len(found)} checkpoints: {shown}. Predict all with one, "
        "or give --mixed_checkpoints if each task has a model of its own"
    ]


def _filled(file: File, predictions: Sequence[Prediction], replacement: Value | None) -> Filled:
    task = _task(file, predictions)
    joined = _by_identity(file, task, predictions)
    read = [file.tasks[task].read(prediction.fields) for prediction in joined]
    unread = [each for each, answer in zip(joined, read, strict=True) if answer is None]
    substitute = None if replacement is None else Answer(replacement)
    answers = [answer for answer in (each or substitute for each in read) if answer is not None]
    if len(answers) < len(joined):
        raise _no_answers(file, task, unread)
    rows = [_row(file, each, answer) for each, answer in zip(joined, answers, strict=True)]
    clipped = sum(answer.is_clipped for answer in answers)
    return Filled(file, task, tuple(rows), len(unread), clipped)


def _task(file: File, predictions: Sequence[Prediction]) -> str:
    """The task whose predictions they are, all of the right split."""
    tasks = sorted({prediction.fields["task"] for prediction in predictions})
    if not tasks:
        raise errors.UserError(
            f"{file.name}: no predictions of {' or '.join(file.tasks)}: predict it, or leave the "
            "file out with --partial"
        )
    if len(tasks) > 1:
        raise errors.UserError(
            f"{file.name}: predictions of {' and of '.join(tasks)}: give those of one"
        )
    for prediction in predictions:
        if prediction.fields["split"] != SPLIT:
            raise errors.UserError(
                f"{file.name}: {prediction.place} is of the split "
                f"{prediction.fields['split']!r}: predict the split {SPLIT!r}"
            )
    return tasks[0]


def _by_identity(file: File, task: str, predictions: Sequence[Prediction]) -> list[Prediction]:
    """The predictions in the order of their identities, one for each example."""
    field, count = file.identities.field, file.identities.count
    found: dict[int, Prediction] = {}
    doubled: list[tuple[Prediction, Prediction]] = []
    extra = []
    for prediction in predictions:
        index = _whole(prediction, field)
        if not 0 <= index < count:
            extra.append(prediction)
        elif index in found:
            doubled.append((found[index], prediction))
        else:
            found[index] = prediction
    missing = [index for index in range(count) if index not in found]
    wrong = []
    if missing:
        shown = _first([f"{field} {index}" for index in missing])
        wrong.append(f"{len(missing)} of {count} examples have no prediction: {shown}")
    if doubled:
        shown = _first([f"{field} {a.fields[field]} ({a.place} and {b.place})" for a, b in doubled])
        wrong.append(f"{len(doubled)} of {count} examples have several predictions: {shown}")
    if extra:
        shown = _places(extra, field)
        wrong.append(f"{len(extra)} of no example, as {field} goes from 0 to {count - 1}: {shown}")
    if wrong:
        twice = {each.file for pair in doubled for each in pair}
        remedy = (
            f"Give the task once, not in {' and in '.join(sorted(map(str, twice)))}"
            if len(twice) > 1 and not (missing or extra)
            else "Predict the whole official test set"
        )
        raise errors.UserError(f"{file.name} from {task}: {'; '.join(wrong)}. {remedy}")
    _check_groups(file, task, found.values())
    return [found[index] for index in range(count)]


def _check_groups(file: File, task: str, predictions: Iterable[Prediction]) -> None:
    if file.identities.groups is None:
        return
    field = file.identities.parents[0]
    groups = {_whole(prediction, field) for prediction in predictions}
    if len(groups) != file.identities.groups:
        raise errors.UserError(
            f"{file.name} from {task}: {field} has {len(groups)} values, the official test set "
            f"{file.identities.groups}. Predict the official test set"
        )


def _no_answers(file: File, task: str, unread: Sequence[Prediction]) -> errors.UserError:
    shown = _first([f"{_short(each.fields['output'])} ({each.place})" for each in unread])
    return errors.UserError(
        f"{file.name} from {task}: {len(unread)} of {file.identities.count} decoded texts are no "
        f"answer: {shown}; allowed: {file.tasks[task].allowed}. Train longer, or name the answer "
        f"to put in their place, for example --invalid {file.stem}=..."
    )


def _short(text: str) -> str:
    return repr(text) if len(text) <= _SHOWN_LETTERS else f"{text[:_SHOWN_LETTERS]!r}..."


def _row(file: File, prediction: Prediction, answer: Answer) -> SubmissionRow:
    parents = tuple(_whole(prediction, field) for field in file.identities.parents)
    return SubmissionRow(_whole(prediction, file.identities.field), parents, answer.value)


def _whole(prediction: Prediction, field: str) -> int:
    """The whole number in a field."""
    value = prediction.fields.get(field)
    if type(value) is not int:
        raise errors.UserError(
            f"{prediction.place}: {field} must be a whole number, not {value!r:.60}: it says which "
            "example the prediction is of"
        )
    return value


def _places(predictions: Sequence[Prediction], field: str) -> str:
    return _first([f"{field} {each.fields[field]} ({each.place})" for each in predictions])


def _first(offenders: Sequence[str]) -> str:
    more = len(offenders) - _SHOWN
    return ", ".join(offenders[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
