"""Specification of a data set: name in tensorflow_datasets, splits and official files."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.files.paths import Path

# One example: feature name -> value, as tensorflow_datasets encodes it (label texts, not numbers).
Row = dict[str, Any]
Reader = Callable[[Sequence[Path]], Iterator[Row]]


class DataError(errors.UserError):
    """A wrong official file; the message names file, line and remedy."""


@dataclasses.dataclass(frozen=True)
class Split:
    """One split of a data set.

    Attributes:
      name: name in tensorflow_datasets: train, validation, test.
      files: paths below the folder of the benchmark, all needed. Each file may be compressed, with
        `.gz` added, and names match in any case. A pattern (`*`) stands for at least one file.
      read: reader of the examples in these files, in order; it raises DataError for a broken file.
      published: number of examples in the official files, several numbers for several releases;
        None if nothing is published.
    """

    name: str
    files: tuple[str, ...]
    read: Reader
    published: int | tuple[int, ...] | None = None

    @property
    def counts(self) -> tuple[int, ...]:
        """Published counts; empty if nothing is published."""
        if self.published is None:
            return ()
        return (self.published,) if isinstance(self.published, int) else self.published


@dataclasses.dataclass(frozen=True)
class Dataset:
    """One data set of a benchmark.

    Attributes:
      tfds_name: name/configuration:version or name:version, as tasks use it. A data set that
        tensorflow_datasets knows has the features of tensorflow_datasets.
      splits: the splits. Splits of one name are alternative layouts of the same files; the first
        alternative whose files all exist is read.
      features: features of a data set that tensorflow_datasets doesn't know: name -> a Python type
        (str, int, float) or a list of label texts.
    """

    tfds_name: str
    splits: tuple[Split, ...]
    features: dict[str, Any] | None = None

    @property
    def directory(self) -> pathlib.PurePosixPath:
        """Path below a folder of prepared data: name/configuration/version."""
        return pathlib.PurePosixPath(self.tfds_name.replace(":", "/"))
