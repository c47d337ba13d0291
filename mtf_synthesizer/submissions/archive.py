"""The zip uploaded to a leaderboard; equal predictions give equal bytes."""

import dataclasses
import io
import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths, saving
from mtf_synthesizer.submissions import joining
from mtf_synthesizer.submissions.answers import Value
from mtf_synthesizer.submissions.layout import Benchmark
from mtf_synthesizer.submissions.prediction_files import Prediction

_FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest timestamp of a zip
_UNIX = 3


@dataclasses.dataclass(frozen=True)
class SubmissionReport:
    """Content of a written submission.

    Attributes:
      path: path of the zip.
      files: files of the zip.
      absent: names of files that are left out.
    """

    path: paths.Path
    files: tuple[joining.Filled, ...]
    absent: tuple[str, ...]

    def __str__(self) -> str:
        lines = [f"{self.path}: {len(self.files)} files"]
        for filled in self.files:
            notes = [f"{len(filled.rows):>7} examples of {filled.task}"]
            notes += [f"{filled.replaced} not an answer, replaced"] if filled.replaced else []
            notes += [f"{filled.clipped} clipped"] if filled.clipped else []
            lines.append(f"  {filled.file.name:<19}{', '.join(notes)}")
        lines += [f"left out: {', '.join(self.absent)}"] if self.absent else []
        return "\n".join(lines)


def write(
    output: str | os.PathLike[str],
    predictions: Sequence[Prediction],
    benchmark: Benchmark,
    *,
    invalid: Iterable[str] = (),
    partial: bool = False,
    mixed_checkpoints: bool = False,
    overwrite: bool = False,
) -> SubmissionReport:
    """Write the zip.

    Args:
      output: path of the zip.
      predictions: predictions of all tasks, in any order; other tasks are ignored.
      benchmark: the leaderboard.
      invalid: replacements for decoded texts that are not answers: an answer for every file that
        allows it, or FILE=ANSWER or TASK=ANSWER, which win.
      partial: whether files without any prediction may be left out.
      mixed_checkpoints: whether predictions may come from several checkpoints.
      overwrite: whether to replace an existing zip.

    Raises:
      errors.UserError: predictions are missing, repeated or wrong, or the zip exists.
    """
    path = paths.of(output)
    check_free(path, overwrite)
    filled = joining.fill(
        benchmark, predictions, replacements(benchmark, invalid), partial, mixed_checkpoints
    )
    texts = {part.file.name: part.file.text(part.rows) for part in filled}
    saving.write_bytes(path, _zip(texts))
    absent = tuple(file.name for file in benchmark.files if file.name not in texts)
    return SubmissionReport(path, tuple(filled), absent)


def check_free(output: str | os.PathLike[str], overwrite: bool) -> None:
    """Raise a UserError unless the zip can be written, or replaced if `overwrite`."""
    saving.check_file(output)
    if paths.of(output).exists() and not overwrite:
        raise errors.UserError(f"{output} exists: choose another --output, or give --overwrite")


def replacements(benchmark: Benchmark, invalid: Iterable[str]) -> dict[str, Value]:
    """Parse --invalid: name of a file -> answer.

    Raises:
      errors.UserError: an unknown file or answer.
    """
    general: dict[str, Value] = {}
    special: dict[str, Value] = {}
    for text in invalid:
        name, equals, answer = text.rpartition("=")
        files = (benchmark.file(name),) if equals else benchmark.files
        known = {file.name: value for file in files if (value := file.named(answer)) is not None}
        if not known:
            descriptions = (
                f"{file.stem}: {answers.allowed}"
                for file in files
                for answers in file.tasks.values()
            )
            allowed = dict.fromkeys(descriptions)  # tasks of one file may allow the same
            raise errors.UserError(
                f"--invalid {text}: {answer!r} is not an answer. Known: {'; '.join(allowed)}"
            )
        (special if equals else general).update(known)
    return general | special


def _zip(texts: Mapping[str, str]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in texts.items():
            entry = zipfile.ZipInfo(name, _FIXED_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = _UNIX
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text)
    return content.getvalue()
