"""Writes data sets as the directories that tensorflow_datasets reads, without a network.

T5's tasks find them there, and so does `tfds.load(name, data_dir=folder)`.
"""

import contextlib
import json
import pathlib
import resource
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import writer

from mtf_synthesizer.data.spec import Dataset, Row
from mtf_synthesizer.files import new_folder
from mtf_synthesizer.files.paths import Path

_FEATURES = "features.json"
_FORMAT = "tfrecord"
_NUMBERS = {int: np.int64, float: np.float32}
# A split of more than 1 GB is sorted in a thousand files at once; 1024 is a usual limit.
_OPEN_FILES = 4096


def exists(dataset: Dataset, folder: Path) -> bool:
    """Whether the data set was written to a folder before."""
    return (folder / dataset.directory / _FEATURES).is_file()


def splits(directory: Path) -> list[str]:
    """The splits of a data set that was written to a directory."""
    info = json.loads((directory / "dataset_info.json").read_text("utf-8"))
    return [split["name"] for split in info.get("splits", [])]


def write(dataset: Dataset, splits: Mapping[str, Iterable[Row]], folder: Path) -> Path:
    """Writes a data set, in place of an earlier one.

    The same rows give the same bytes. The order is that of tensorflow_datasets, which shuffles by
    a hash of `idx` where there is one, else by the row's place. Up to 1 GB of a split is kept in
    memory; a larger one is sorted on disk.

    Args:
      dataset: what is written.
      splits: name -> rows.
      folder: where name/configuration/version are made.

    Returns:
      The folder of the data set.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / dataset.directory
    beside = folder if isinstance(folder, pathlib.Path) else None
    with tempfile.TemporaryDirectory(prefix=".preparing_", dir=beside) as scratch:
        made = pathlib.Path(scratch) / "made"
        made.mkdir()
        info = _info(dataset, made)
        with _without_bars(), _many_open_files():
            written = [_write_split(info, name, rows) for name, rows in splits.items()]
        info.set_splits(tfds.core.SplitDict(written))
        info.write_to_directory(made)
        _sort_keys(made / _FEATURES)
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(target, pathlib.Path):
            _move(made, target, pathlib.Path(scratch) / "replaced")
        else:
            if target.exists():
                target.remove_folder()
            new_folder.copy(made, target)
    return target


def _move(made: pathlib.Path, target: pathlib.Path, replaced: pathlib.Path) -> None:
    if target.exists():
        target.rename(replaced)
    made.rename(target)


def _info(dataset: Dataset, folder: Path) -> tfds.core.DatasetInfo:
    """What tensorflow_datasets keeps about a data set beside the examples."""
    if dataset.features is None:
        known = known_info(dataset)
        about = {"description": known.description, "citation": known.citation}
        types = known.features
    else:
        about, types = {}, features(dataset.features)
    name, configuration, version = _parts(dataset)
    identity = tfds.core.DatasetIdentity(
        name=name,
        version=tfds.core.Version(version),
        data_dir=str(folder),
        module_name=__name__,
        config_name=configuration or None,
    )
    return tfds.core.DatasetInfo(builder=identity, features=types, **about)


def _parts(dataset: Dataset) -> tuple[str, str, str]:
    path, _, version = dataset.tfds_name.partition(":")
    name, _, configuration = path.partition("/")
    return name, configuration, version


def known_info(dataset: Dataset) -> tfds.core.DatasetInfo:
    """What tensorflow_datasets knows of one of its own data sets, in whatever version."""
    name, configuration, _ = _parts(dataset)
    known: Any = tfds.builder_cls(name)

    class Offline(known, skip_registration=True):  # type: ignore[call-arg]
        """The builder, which otherwise asks a server for published counts when it is made."""

        def _info(self) -> tfds.core.DatasetInfo:
            info = super()._info()
            info.initialize_from_bucket = lambda: None
            return info

    Offline.name = known.name
    with tempfile.TemporaryDirectory() as empty:
        return Offline(config=configuration or None, data_dir=empty).info


def features(types: Mapping[str, Any]) -> tfds.features.FeaturesDict:
    """The features of a data set that tensorflow_datasets doesn't know: see `Dataset.features`."""
    return tfds.features.FeaturesDict({name: _feature(kind) for name, kind in types.items()})


def _feature(kind: Any) -> Any:
    if isinstance(kind, list):
        return tfds.features.ClassLabel(names=kind)
    return tfds.features.Text() if kind is str else _NUMBERS[kind]


class _Serializer(tfds.core.ExampleSerializer):
    """Examples as bytes that are the same in every process: protobuf's maps have no order."""

    def serialize_example(self, example: Any) -> bytes:
        return self.get_tf_example(example).SerializeToString(deterministic=True)


def _write_split(
    info: tfds.core.DatasetInfo, name: str, rows: Iterable[Row]
) -> tfds.core.SplitInfo:
    template = tfds.core.ShardedFileTemplate(
        split=name,
        dataset_name=info.name,
        data_dir=tfds.core.Path(info.data_dir),
        filetype_suffix=_FORMAT,
    )
    out = writer.Writer(
        serializer=_Serializer(info.features.get_serialized_info()),
        filename_template=template,
        hash_salt=name,
        disable_shuffling=False,
    )
    for key, row in _keyed(rows):
        out.write(key, info.features.encode_example(row))
    lengths, size = out.finalize()
    return tfds.core.SplitInfo(
        name=name, shard_lengths=lengths, num_bytes=size, filename_template=template
    )


def _keyed(rows: Iterable[Row]) -> Iterator[tuple[str | int, Row]]:
    """Rows with the keys that tensorflow_datasets gives them, which decide about their order."""
    for place, row in enumerate(rows):
        identity = row.get("idx", place)
        if isinstance(identity, dict):
            identity = "_".join(str(part) for part in identity.values())
        yield identity, row


def _sort_keys(path: Path) -> None:
    text = json.dumps(json.loads(path.read_text("utf-8")), indent=4, sort_keys=True)
    path.write_text(text, "utf-8")


@contextlib.contextmanager
def _without_bars() -> Iterator[None]:
    tfds.disable_progress_bar()
    try:
        yield
    finally:
        tfds.enable_progress_bar()


@contextlib.contextmanager
def _many_open_files() -> Iterator[None]:
    """Inside, as many files may be open as sorting on disk needs, if the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
