"""What a data set is: its name in tensorflow_datasets, its splits and their official files."""

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
    """An official file is not what it should be; the message names file, line and remedy."""


@dataclasses.dataclass(frozen=True)
class Split:
    """One split of a data set.

    Attributes:
      name: its name in tensorflow_datasets: train, validation, test.
      files: paths below the folder of the benchmark that together hold the split, all of them
        needed. Each may lie there compressed (`.gz` at its end), and names are found whatever
        their case. A pattern (`*`) stands for every file it matches, at least one.
      read: the examples of these files, in their order; raises DataError for a broken file.
      published: how many examples the official files have, several numbers where several releases
        are about; None where nothing is published.
    """

    name: str
    files: tuple[str, ...]
    read: Reader
    published: int | tuple[int, ...] | None = None

    @property
    def counts(self) -> tuple[int, ...]:
        """The published counts; empty where there are none."""
        if self.published is None:
            return ()
        return (self.published,) if isinstance(self.published, int) else self.published


@dataclasses.dataclass(frozen=True)
class Dataset:
    """One data set of a benchmark.

    Attributes:
      tfds_name: name/configuration:version or name:version, as tasks ask for it. Where
        tensorflow_datasets knows it, its own features are used.
      splits: what official files it is made of. Splits of one name are alternatives, layouts in
        which people have the same files: the first whose files are all there is read.
      features: makes the features where tensorflow_datasets doesn't know the data set: feature
        name -> a Python type (str, int, float) or a list of label texts.
    """

    tfds_name: str
    splits: tuple[Split, ...]
    features: dict[str, Any] | None = None

    @property
    def directory(self) -> pathlib.PurePosixPath:
        """Where it lies below a folder of prepared data: name/configuration/version."""
        return pathlib.PurePosixPath(self.tfds_name.replace(":", "/"))
