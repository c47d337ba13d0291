"""What is written is what tensorflow_datasets would have written, and it is read back."""

import resource

import mtf_synthesizer.runtime.compat

import pytest
import seqio
import tensorflow_datasets as tfds
from glue_files import contents, dataset, plain, read, rows, written
from tensorflow_datasets.core import shuffle
from tensorflow_datasets.text.glue import Glue

from mtf_synthesizer.data import catalogue, prepared
from mtf_synthesizer.data.spec import DataError, Dataset
from mtf_synthesizer.files import locks
from mtf_synthesizer.upstream import data_folder

pytestmark = pytest.mark.usefixtures("eager")

OWN = Dataset(
    "synthesizer_numbers:1.0.0", (), features={"t": str, "n": int, "x": float, "l": ["a", "b"]}
)


def test_rows_and_order_are_those_of_tensorflow_datasets_own_builder(tmp_path):
    """On QQP with broken rows, where the place of a row is not its idx."""
    head = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    lines = "".join(f"{i}\t1\t2\tQ {i}\n{i}\t1\t2\tQ {i}\tR\t{i % 2}\n" for i in range(7))
    path = written(tmp_path / "QQP/train.tsv", head + lines)

    class Local(Glue, skip_registration=True):
        name = "glue"
        # tensorflow_datasets looks for a package of this name; it cannot read "tests", a namespace.
        __module__ = "local"

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(path, "train")}

    data_folder.read_from(str(tmp_path))  # nothing is looked up on a server
    try:
        theirs = Local(config="qqp", data_dir=tmp_path / "theirs")
        theirs.download_and_prepare()
    finally:
        data_folder.read_from(None)
    examples = rows("glue", "qqp", "train", tmp_path)
    ours = prepared.write(dataset("glue", "qqp"), {"train": examples}, tmp_path / "ours")
    assert ours == tmp_path / "ours/glue/qqp/1.0.0"
    found = read("glue/qqp:1.0.0", tmp_path / "ours", "train")
    assert found == [plain(row) for row in tfds.as_numpy(theirs.as_dataset(split="train"))]
    assert sorted(row["idx"] for row in found) == [1, 3, 5, 7, 9, 11, 13]
    assert tfds.builder_from_directory(ours).info.citation == theirs.info.citation


def test_what_a_killed_command_left_is_removed_or_put_back(tmp_path):
    """Killed while it wrote; killed between removing a data set and renaming the new one."""
    (tmp_path / ".preparing_a" / "made").mkdir(parents=True)
    target = prepared.write(OWN, {"train": [{"t": "a", "n": 1, "x": 0, "l": "a"}]}, tmp_path)
    replaced = tmp_path / ".preparing_b" / "replaced" / OWN.directory
    replaced.parent.mkdir(parents=True)
    target.rename(replaced)
    (tmp_path / ".preparing_busy").mkdir()
    with locks.hold_folder(tmp_path / ".preparing_busy"):
        prepared.remove_left(tmp_path)
    assert {path.name for path in tmp_path.glob(".*")} == {".preparing_busy"}
    assert prepared.splits(target) == ["train"]
    prepared.write(OWN, {"test": [{"t": "a", "n": 1, "x": 0, "l": "a"}]}, tmp_path)
    assert prepared.splits(target) == ["test"]
    assert not list(tmp_path.glob(".*"))


def test_a_data_set_that_tensorflow_datasets_does_not_know(tmp_path):
    written_rows = [
        {"t": "é\n", "n": 2**40, "x": 0.5, "l": "b"},
        {"t": "", "n": -1, "x": 2, "l": -1},
    ]
    prepared.write(OWN, {"train": written_rows, "test": written_rows[:1]}, tmp_path)
    source = seqio.TfdsDataSource("synthesizer_numbers:1.0.0", splits=("train", "test"))
    source.tfds_dataset.override_data_dir(str(tmp_path))
    assert source.num_input_examples("train") == 2
    found = [plain(row) for row in tfds.as_numpy(source.get_dataset("train", shuffle=False))]
    assert sorted(found, key=lambda row: row["n"]) == [
        {"t": "", "n": -1, "x": 2.0, "l": -1},
        {"t": "é\n", "n": 2**40, "x": 0.5, "l": 1},
    ]
    assert [row["n"] for row in read("synthesizer_numbers:1.0.0", tmp_path, "test")] == [2**40]


def test_the_features_of_every_known_data_set_are_found_without_a_network():
    for benchmark in catalogue.BENCHMARKS:
        for each in catalogue.datasets(benchmark):
            if each.features is None:
                assert prepared.known_info(each).features
            else:
                assert prepared.features(each.features)


def test_a_large_split_is_sorted_on_disk(tmp_path, monkeypatch):
    many = [{"t": str(n), "n": n, "x": 0.0, "l": "a"} for n in range(1511)]
    in_memory = prepared.write(OWN, {"train": many}, tmp_path / "memory")
    monkeypatch.setattr(shuffle, "MAX_MEM_BUFFER_SIZE", 1 << 10)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(500, limits[1]), limits[1]))
    try:
        on_disk = prepared.write(OWN, {"train": many}, tmp_path / "disk")
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(500, limits[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert contents(on_disk) == contents(in_memory)


def test_writing_again_replaces_and_a_failure_leaves_what_was_there(tmp_path):
    def row(n):
        return {"t": "", "n": n, "x": 0.0, "l": "a"}

    def failing():
        yield row(3)
        raise DataError("cut off")

    target = prepared.write(OWN, {"train": [row(1)], "test": [row(1)]}, tmp_path)
    prepared.write(OWN, {"train": [row(2)]}, tmp_path)
    with pytest.raises(DataError, match="cut off"):
        prepared.write(OWN, {"train": failing()}, tmp_path)
    assert [each["n"] for each in read("synthesizer_numbers:1.0.0", tmp_path, "train")] == [2]
    assert not list(target.glob("*test*"))
    assert [path.name for path in tmp_path.iterdir()] == ["synthesizer_numbers"]
