"""Data sets written in tensorflow_datasets' own format, without a network.

T5's tasks and `tfds.load(name, data_dir=folder)` read them.
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
from mtf_synthesizer.files import locks, new_folder, paths
from mtf_synthesizer.files.paths import Path

_FEATURES = "features.json"
_SCRATCH = ".preparing_"
_REPLACED = "replaced"  # folder of the data set that a new one replaces, for a moment
_FORMAT = "tfrecord"
_NUMBERS = {int: np.int64, float: np.float32}
# Sorting a split of more than 1 GB opens a thousand files at once; 1024 is a common limit.
_OPEN_FILES = 4096


def exists(dataset: Dataset, folder: Path) -> bool:
    """Return whether the data set was written to a folder before."""
    return (folder / dataset.directory / _FEATURES).is_file()


def splits(directory: Path) -> list[str]:
    """Return the splits of a data set in a directory."""
    info = json.loads((directory / "dataset_info.json").read_text("utf-8"))
    return [split["name"] for split in info.get("splits", [])]


def write(dataset: Dataset, splits: Mapping[str, Iterable[Row]], folder: Path) -> Path:
    """Write a data set, and replace an earlier one.

    Equal rows give equal bytes. The order is that of tensorflow_datasets, which shuffles by a hash
    of `idx` if it exists, else of the row's place. Up to 1 GB of a split is kept in memory; a
    larger split is sorted on disk.

    Args:
      dataset: the data set.
      splits: name -> rows.
      folder: the folder in which name/configuration/version is created.

    Returns:
      The folder of the data set.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / dataset.directory
    with _scratch(folder) as scratch:
        built = scratch / "made"
        built.mkdir()
        info = _info(dataset, built)
        with _without_bars(), _many_open_files():
            written = [_write_split(info, name, rows) for name, rows in splits.items()]
        info.set_splits(tfds.core.SplitDict(written))
        info.write_to_directory(built)
        _sort_keys(built / _FEATURES)
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(target, pathlib.Path):
            _move(built, target, scratch / _REPLACED / dataset.directory)
        else:
            if target.exists():
                target.remove_folder()
            new_folder.copy(built, target)
    return target


@contextlib.contextmanager
def _scratch(folder: Path) -> Iterator[pathlib.Path]:
    """Yield a temporary folder on the disk of `folder`; first remove those of killed processes."""
    if not isinstance(folder, pathlib.Path):
        with tempfile.TemporaryDirectory() as scratch:
            yield pathlib.Path(scratch)
        return
    with contextlib.ExitStack() as stack:
        with locks.wait_for_output(folder):
            remove_left(folder)
            temporary = tempfile.TemporaryDirectory(prefix=_SCRATCH, dir=folder)
            scratch = stack.enter_context(temporary)
            stack.enter_context(locks.hold_folder(pathlib.Path(scratch)))
        yield pathlib.Path(scratch)


def remove_left(folder: pathlib.Path) -> None:
    """Remove what killed processes left in a folder; put back data sets they were replacing."""
    for scratch in folder.glob(f"{_SCRATCH}*"):
        with contextlib.suppress(PermissionError):  # a folder of another user
            if not locks.is_held(scratch):
                _put_back(scratch / _REPLACED, folder)
                paths.remove_folder(scratch)


def _put_back(replaced: pathlib.Path, folder: pathlib.Path) -> None:
    for features in [*replaced.rglob(_FEATURES)]:
        target = folder / features.parent.relative_to(replaced)
        if not target.exists():
            features.parent.rename(target)


def _move(built: pathlib.Path, target: pathlib.Path, replaced: pathlib.Path) -> None:
    if target.exists():
        replaced.parent.mkdir(parents=True)
        target.rename(replaced)
    built.rename(target)


def _info(dataset: Dataset, folder: Path) -> tfds.core.DatasetInfo:
    """Return the metadata that tensorflow_datasets stores beside the examples."""
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
    """Return tensorflow_datasets' metadata of one of its own data sets, in any version."""
    name, configuration, _ = _parts(dataset)
    known: Any = tfds.builder_cls(name)

    class Offline(known, skip_registration=True):  # type: ignore[call-arg]
        """The builder without its request for published counts from a server."""

        def _info(self) -> tfds.core.DatasetInfo:
            info = super()._info()
            info.initialize_from_bucket = lambda: None
            return info

    Offline.name = known.name
    with tempfile.TemporaryDirectory() as empty:
        return Offline(config=configuration or None, data_dir=empty).info


def features(types: Mapping[str, Any]) -> tfds.features.FeaturesDict:
    """Return the features of a data set unknown to tensorflow_datasets: `Dataset.features`."""
    return tfds.features.FeaturesDict({name: _feature(kind) for name, kind in types.items()})


def _feature(kind: Any) -> Any:
    if isinstance(kind, list):
        return tfds.features.ClassLabel(names=kind)
    return tfds.features.Text() if kind is str else _NUMBERS[kind]


class _Serializer(tfds.core.ExampleSerializer):
    """Serializer with equal bytes in every process: protobuf's maps have no fixed order."""

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
    """Yield rows with the keys of tensorflow_datasets, which determine their order."""
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
    """Allow as many open files as sorting on disk needs, up to the system's limit."""

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
