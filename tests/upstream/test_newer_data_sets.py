"""Data that a newer tensorflow_datasets has prepared."""

import json

import mtf_synthesizer.runtime.compat

import pytest
import seqio
from glue_files import plain, written

from mtf_synthesizer.data import prepare, prepared
from mtf_synthesizer.data.spec import Dataset
from mtf_synthesizer.upstream import data_folder

pytestmark = pytest.mark.usefixtures("eager")

OWN = Dataset("mine:1.0.0", (), features={"text": str, "label": ["no", "yes"]})
ROWS = [{"text": "one", "label": "no"}, {"text": "two", "label": "yes"}]


def with_unknown_fields(folder):
    """Adds a field that no release has to every kind of object in the two files."""
    info = json.loads((folder / "dataset_info.json").read_text("utf-8"))
    features = json.loads((folder / "features.json").read_text("utf-8"))
    every = features["featuresDict"]["features"]
    for part in (info, info["splits"][0], features, *every.values()):
        part["fieldOfTomorrow"] = {"a": [1]}
    (folder / "dataset_info.json").write_text(json.dumps(info), "utf-8")
    (folder / "features.json").write_text(json.dumps(features), "utf-8")


@pytest.mark.parametrize("name", ["mine:1.0.0", "glue/rte:1.0.0"])
def test_unknown_fields_are_ignored(tmp_path, name):
    """A data set that tensorflow_datasets has no code for, and one that it has."""
    if name == OWN.tfds_name:
        folder = prepared.write(OWN, {"train": ROWS}, tmp_path)
    else:
        table = "index\tsentence1\tsentence2\tlabel\n0\tone\tb\tentailment\n1\ttwo\tb\tentailment\n"
        written(tmp_path / "official/RTE/train.tsv", table)
        prepare.run("glue", tmp_path / "official", tmp_path, allow_partial=True)
        folder = tmp_path / "glue/rte/1.0.0"
    with_unknown_fields(folder)
    seqio.utils.LazyTfdsLoader._MEMOIZED_BUILDERS.clear()
    data_folder.read_from(str(tmp_path))
    try:
        loader = seqio.utils.LazyTfdsLoader(name)
        assert loader.size("train") == 2
        rows = [plain(row) for row in loader.load("train", False).as_numpy_iterator()]
    finally:
        data_folder.read_from(None)
    assert {row["text" if "text" in row else "sentence1"] for row in rows} == {"one", "two"}
