"""Files of GLUE and SuperGLUE for the tests of their readers, and what TFDS makes of them."""

import gzip
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds

from mtf_synthesizer.data import catalogue, prepare
from mtf_synthesizer.data.spec import DataError


def dataset(benchmark, configuration):
    """One data set of a benchmark, by the name of its configuration."""
    found = [
        each
        for each in catalogue.datasets(benchmark)
        if each.tfds_name.partition(":")[0].partition("/")[2] == configuration
    ]
    assert len(found) == 1
    return found[0]


def rows(benchmark, configuration, split, folder):
    """What our reader makes of the files in a folder."""
    found = prepare.locate(dataset(benchmark, configuration), split, pathlib.Path(folder))
    assert found.paths
    return list(found.split.read(found.paths))


def written(path, text):
    """Writes a file, compressed if its name ends with .gz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode("utf-8")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def assert_fault_is_named(benchmark, folder, file, text, said):
    """Our reader refuses a file with this text, and says where it is and `said`."""
    path = written(folder / file, text)
    with pytest.raises(DataError) as error:
        prepare.check(prepare.survey(benchmark, folder), allow_partial=True)
    for part in (str(path), *said):
        assert part in str(error.value)


def unpacked(source, folder):
    """Copies a folder of official files, decompressed, for readers of plain files only."""
    for path in source.rglob("*"):
        if path.is_file():
            target = folder / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix != ".gz":
                shutil.copyfile(path, target)
                continue
            with gzip.open(path) as packed, open(target.with_suffix(""), "wb") as plain:
                shutil.copyfileobj(packed, plain)
    return folder


def tfds_builder(kind, configuration):
    """A builder of tensorflow_datasets for its parsing only; a whole one would ask a server."""
    builder = object.__new__(kind)
    builder._builder_config = kind.builder_configs[configuration]
    return builder


def encoded(kind, configuration, examples):
    """Rows as tensorflow_datasets stores them: labels as numbers, floats in single precision."""
    config = kind.builder_configs[configuration]
    label = tfds.features.ClassLabel(names=config.label_classes) if config.label_classes else None
    return [_encoded(row, label) for row in examples]


def _encoded(row, label):
    if "label" not in row:
        return row
    if label is None:
        return {**row, "label": float(row["label"])}
    return {**row, "label": label.encode_example(row["label"])}


def read(name, folder, split):
    """A prepared split as seqio asks for it."""
    loaded = tfds.load(name, split=split, data_dir=str(folder), download=True, try_gcs=True)
    return [plain(row) for row in tfds.as_numpy(loaded)]


def plain(value):
    """NumPy's values as the readers give them."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        return [plain(each) for each in value]
    return value.decode() if isinstance(value, bytes) else value.item()


def contents(folder):
    """Path and bytes of every file in a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in pathlib.Path(folder).rglob("*")
        if path.is_file()
    }
