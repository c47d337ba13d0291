"""Tasks whose data lies in a folder of their own, beside --tfds_data_dir."""

import mtf_synthesizer.runtime.compat

import pytest
import seqio

from mtf_synthesizer import errors
from mtf_synthesizer.data import prepared
from mtf_synthesizer.data.spec import Dataset
from mtf_synthesizer.upstream import data_folder, vocabulary

pytestmark = pytest.mark.usefixtures("eager")

ROWS = [{"text": "one"}, {"text": "two"}]


def write(name, folder, rows=ROWS):
    prepared.write(Dataset(name, (), features={"text": str}), {"train": rows, "dev": rows}, folder)


def add(name, tfds_name, own=None):
    seqio.TaskRegistry.add(
        name,
        seqio.TfdsDataSource(tfds_name, tfds_data_dir=own and str(own)),
        preprocessors=[],
        output_features=vocabulary.output_features("targets"),
    )


@pytest.fixture
def tasks(tmp_path):
    """A mixture of a task with a folder of its own and one of --tfds_data_dir."""
    own, given = tmp_path / "own", tmp_path / "given"
    write("owned:1.0.0", own)
    write("shared:1.0.0", given, ROWS[:1])
    names = ["own_folder_test_owned", "own_folder_test_shared", "own_folder_test_wild"]
    add(names[0], "owned:1.0.0", own)
    add(names[1], "shared:1.0.0")
    add(names[2], "shared:1.*.*")
    seqio.MixtureRegistry.add("own_folder_test_both", names, default_rate=1)
    seqio.utils.LazyTfdsLoader._MEMOIZED_BUILDERS.clear()
    data_folder.read_from(str(given))
    yield own, given
    data_folder.read_from(None)
    seqio.MixtureRegistry.remove("own_folder_test_both")
    for name in names:
        seqio.TaskRegistry.remove(name)


def size(task, split="train"):
    return seqio.TaskRegistry.get(task).num_input_examples(split)


def test_a_mixture_reads_both_folders(tasks):
    data_folder.check("own_folder_test_both", "train")
    assert (size("own_folder_test_owned"), size("own_folder_test_shared")) == (2, 1)


def test_a_wildcard_stands_for_the_latest_version(tasks):
    assert size("own_folder_test_wild") == 1
    write("shared:1.10.0", tasks[1])
    write("shared:1.9.0", tasks[1])
    assert data_folder.prepared(str(tasks[1]), "shared:1.*.*").name == "1.10.0"
    assert data_folder.prepared(str(tasks[1]), "shared:2.*.*") is None


def test_the_given_folder_wins_where_it_has_the_data(tasks):
    write("owned:1.0.0", tasks[1], ROWS[:1])
    data_folder.read_from(str(tasks[1]))
    assert size("own_folder_test_owned") == 1


def test_splits_have_any_name(tasks):
    assert data_folder.splits("own_folder_test_both") == ["dev", "train"]
    data_folder.check("own_folder_test_both", "dev")
    with pytest.raises(errors.UserError, match=r"'validation'\. Known: dev, train"):
        data_folder.check("own_folder_test_shared", "validation")


def test_data_that_is_in_neither_folder_is_named(tasks, tmp_path):
    data_folder.read_from(str(tmp_path / "empty"))
    (tasks[0] / "owned/1.0.0/dataset_info.json").unlink()
    with pytest.raises(errors.UserError) as error:
        data_folder.check("own_folder_test_both", "train")
    shown = str(error.value)
    assert f"in the task's own tfds_data_dir {tasks[0]} and --tfds_data_dir {tmp_path}" in shown
    assert "owned:1.0.0" in shown and "shared:1.*.*, shared:1.0.0" in shown
