"""From official files to directories that tensorflow_datasets, seqio and T5's tasks read."""

import json
import os
import pathlib
import re
import resource
import shlex
import subprocess
import sys

import mtf_synthesizer.compat  # noqa: F401  isort:skip
import numpy as np
import pytest
import seqio
import tensorflow_datasets as tfds
from glue_files import dataset, encoded, rows, unpacked, written
from tensorflow_datasets.core import shuffle
from tensorflow_datasets.core.utils import gcs_utils
from tensorflow_datasets.text.glue import Glue

from mtf_synthesizer import arguments, cli, names, task_data
from mtf_synthesizer.data import catalogue, prepare, prepared
from mtf_synthesizer.data.spec import DataError, Dataset, Split

pytestmark = pytest.mark.usefixtures("eager")

RTE = "index\tsentence1\tsentence2\tlabel\n"
TRAIN = RTE + "".join(f"{i}\tLine {i}.\tA {i}.\tentailment\n" for i in range(7))
OWN = Dataset(
    "synthesizer_numbers:1.0.0", (), features={"t": str, "n": int, "x": float, "l": ["a", "b"]}
)


@pytest.fixture
def official(tmp_path):
    """A folder with a small RTE: 7 training rows and one to validate."""
    written(tmp_path / "glue/RTE/train.tsv", TRAIN)
    written(tmp_path / "glue/RTE/dev.tsv.gz", f"{RTE}0\tA\tB\tnot_entailment\n")
    return tmp_path / "glue"


def read(name, folder, split):
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
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in pathlib.Path(folder).rglob("*")
        if path.is_file()
    }


# Writing ----------------------------------------------------------------------------------------


def test_rows_and_order_are_those_of_tensorflow_datasets_own_builder(tmp_path):
    """On QQP with broken rows, where the place of a row is not its idx."""
    head = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    lines = "".join(f"{i}\t1\t2\tQ {i}\n{i}\t1\t2\tQ {i}\tR\t{i % 2}\n" for i in range(7))
    path = written(tmp_path / "QQP/train.tsv", head + lines)

    class Local(Glue, skip_registration=True):
        name = "glue"

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(path, "train")}

    task_data.read_from(str(tmp_path))  # nothing is looked up on a server
    try:
        theirs = Local(config="qqp", data_dir=tmp_path / "theirs")
        theirs.download_and_prepare()
    finally:
        task_data.read_from(None)
    examples = rows("glue", "qqp", "train", tmp_path)
    ours = prepared.write(dataset("glue", "qqp"), {"train": examples}, tmp_path / "ours")
    assert ours == tmp_path / "ours/glue/qqp/1.0.0"
    found = read("glue/qqp:1.0.0", tmp_path / "ours", "train")
    assert found == [plain(row) for row in tfds.as_numpy(theirs.as_dataset(split="train"))]
    assert sorted(row["idx"] for row in found) == [1, 3, 5, 7, 9, 11, 13]
    assert tfds.builder_from_directory(ours).info.citation == theirs.info.citation


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


# Finding and checking ---------------------------------------------------------------------------


def states(findings):
    return {
        (each.dataset.tfds_name.partition(":")[0], each.split.name): each.state for each in findings
    }


def test_states_of_splits(official):
    written(official / "WNLI/dev.tsv", f"{RTE}" + "0\tA\tB\t1\n" * 71)
    written(official / "WNLI/test.tsv", f"{RTE}")
    written(official / "QNLI/test.tsv", "index\tquestion\n")
    findings = prepare.survey("glue", official)
    found = states(findings)
    assert found["glue/rte", "train"] == "other count"
    assert found["glue/rte", "test"] == "missing"
    assert found["glue/wnli", "validation"] == "complete"
    assert found["glue/wnli", "test"] == "broken"  # not one example
    assert found["glue/qnli", "test"] == "broken"
    assert len(found) == 3 * 8 + 5 + 2 + 2 + 1
    with pytest.raises(DataError) as error:
        prepare.check(findings, allow_partial=True)
    assert "WNLI/test.tsv: no examples" in str(error.value)
    assert "QNLI/test.tsv: no column sentence" in str(error.value)


def test_other_counts_are_refused_unless_allowed(official):
    findings = prepare.survey("glue", official)
    with pytest.raises(DataError) as error:
        prepare.check(findings, allow_partial=False)
    first, second = str(error.value).splitlines()
    for part in ("RTE/train.tsv", "7 examples", "2,490", "--allow_partial"):
        assert part in first
    assert "RTE/dev.tsv.gz" in second
    prepare.check(findings, allow_partial=True)


def test_each_published_count_is_accepted():
    """QQP has two: tensorflow_datasets 1.0.0 counts 363,849 training rows, 2.0.0 three fewer."""
    train = dataset("glue", "qqp").splits[0]
    for count, state in ((363_849, "complete"), (363_846, "complete"), (363_848, "other count")):
        found = prepare.Finding(dataset("glue", "qqp"), train, (pathlib.Path("train.tsv"),), count)
        assert found.state == state


def test_only_the_first_faults_are_shown(official):
    for folder in ("SST-2", "WNLI", "QNLI", "STS-B", "MRPC"):
        written(official / folder / "dev.tsv", "index\n")
    with pytest.raises(DataError) as error:
        prepare.check(prepare.survey("glue", official), allow_partial=True)
    *shown, rest = str(error.value).splitlines()
    assert len(shown) == 3
    assert rest == "and 2 more"


def test_a_fault_in_files_that_two_data_sets_share_is_said_once(tmp_path):
    written(tmp_path / "MNLI/dev_matched.tsv", "index\n")
    with pytest.raises(DataError) as error:
        prepare.check(prepare.survey("glue", tmp_path), allow_partial=True)
    assert len(str(error.value).splitlines()) == 1


def test_nothing_there_or_no_such_place(tmp_path):
    with pytest.raises(names.UserError, match=r"none of the files.*CoLA/train.tsv"):
        prepare.check(prepare.survey("glue", tmp_path), allow_partial=True)
    with pytest.raises(names.UserError, match="no such folder"):
        prepare.survey("glue", tmp_path / "nowhere")
    with pytest.raises(names.UserError, match="'superglue'"):
        catalogue.datasets("superglu")
    assert catalogue.datasets("super_glue") == catalogue.datasets("superglue")


def test_the_first_alternative_that_is_whole_is_read(tmp_path):
    splits = (
        Split("train", ("a.txt", "b.txt"), list),
        Split("train", ("c*.txt",), list),
        Split("test", ("d.txt",), list),
    )
    data = Dataset("x:1.0.0", splits)
    for name in ("a.txt", "c1.txt", "C2.TXT.GZ"):
        written(tmp_path / name, "")
    found = prepare.locate(data, "train", tmp_path)
    assert [path.name for path in found.paths] == ["C2.TXT.GZ", "c1.txt"]
    assert prepare.locate(data, "test", tmp_path).paths == ()


# The command ------------------------------------------------------------------------------------


def command(official, output, *flags):
    place = ["--from", str(official), "--tfds_data_dir", str(output)]
    return ["data", "prepare", "--benchmark", "glue", *place, *flags]


def test_the_command_writes_the_same_bytes_in_another_process(official, tmp_path, capsys):
    assert cli.main(command(official, tmp_path / "here", "--allow_partial")) == 0
    assert str(tmp_path / "here/glue/rte/1.0.0") in capsys.readouterr().out
    arguments = command(official, tmp_path / "there", "--allow_partial")
    subprocess.run([sys.executable, "-m", "mtf_synthesizer", *arguments], check=True)
    here = contents(tmp_path / "here")
    assert here == contents(tmp_path / "there")
    assert "glue/rte/1.0.0/glue-train.tfrecord-00000-of-00001" in here


def test_the_command_leaves_what_is_there_unless_told(official, tmp_path, capsys):
    output = tmp_path / "out"
    assert cli.main(command(official, output, "--allow_partial")) == 0
    before = contents(output)
    written(official / "RTE/train.tsv", TRAIN.replace("Line", "Other"))
    assert cli.main(command(official, output, "--allow_partial")) == 0
    assert "left as it is" in capsys.readouterr().out
    assert contents(output) == before
    assert cli.main(command(official, output, "--allow_partial", "--overwrite")) == 0
    assert contents(output) != before


def test_the_command_writes_nothing_if_anything_is_wrong(official, tmp_path, capsys):
    written(official / "WNLI/dev.tsv", f"{RTE}0\tA\tB\t7\n")
    assert cli.main(command(official, tmp_path / "out", "--allow_partial")) == 2
    shown = capsys.readouterr()
    assert "WNLI/dev.tsv: line 2" in shown.err
    assert "Traceback" not in shown.err
    assert "broken" in shown.out
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written(official, tmp_path, capsys):
    written(tmp_path / "out", "a file")
    assert cli.main(command(official, tmp_path / "out", "--allow_partial")) == 2
    assert "can't be written" in capsys.readouterr().err


def test_the_list_shows_every_file(capsys):
    assert cli.main(["data", "list"]) == 0
    shown = capsys.readouterr().out
    for benchmark in catalogue.BENCHMARKS:
        for each in catalogue.datasets(benchmark):
            for split in each.splits:
                assert " ".join(split.files) in shown
    assert cli.main(["data", "list", "superglue"]) == 0
    assert "CoLA" not in capsys.readouterr().out


def test_the_commands_of_the_guide_are_known():
    guide = (pathlib.Path(__file__).parent.parent / "docs/data.md").read_text("utf-8")
    found = re.findall(r"^    mtf_synthesizer (.+)$", guide, re.MULTILINE)
    assert len(found) >= 4
    for each in found:
        arguments.parser().parse_args(shlex.split(each))


def test_the_guides_data_of_ones_own(tmp_path, monkeypatch):
    guide = (pathlib.Path(__file__).parent.parent / "docs/data.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    assert read("mine:1.0.0", tmp_path / "data", "train") == [{"text": "Is it?", "label": 1}]


# Training from prepared data --------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(shared_data, tmp_path_factory):
    """Both benchmarks' sample files, prepared whole."""
    output = tmp_path_factory.mktemp("prepared")
    for benchmark in ("glue", "superglue"):
        findings = prepare.survey(benchmark, shared_data / benchmark)
        prepare.check(findings, allow_partial=False)
        for _, was_written in prepare.write(findings, output, overwrite=False):
            assert was_written
    return output


def test_real_files_prepared_whole(real, shared_data):
    complete = 0
    for benchmark in ("glue", "superglue"):
        for found in prepare.survey(benchmark, shared_data / benchmark):
            if found.paths:
                info = tfds.builder(found.dataset.tfds_name, data_dir=real).info
                assert info.splits[found.split.name].num_examples in found.split.counts
                complete += 1
    assert complete == 3 * 5 + 2 + 1 + 3 * 4 + 3


def test_rows_read_back_are_those_of_the_files(real, shared_data, tmp_path):
    expected = encoded(Glue, "cola", rows("glue", "cola", "train", shared_data / "glue"))
    found = read("glue/cola:1.0.0", real, "train")
    assert sorted(found, key=lambda row: row["idx"]) == expected
    path = unpacked(shared_data / "superglue/MultiRC", tmp_path) / "val.jsonl"
    answers = {}
    for line in path.read_text("utf-8").splitlines():
        page = json.loads(line)
        for question in page["passage"]["questions"]:
            for answer in question["answers"]:
                key = (page["idx"], question["idx"], answer["idx"])
                answers[key] = (question["question"], answer["text"], answer["label"])
    assert len(answers) == 4848
    assert answers == {
        tuple(row["idx"][part] for part in ("paragraph", "question", "answer")): (
            row["question"],
            row["answer"],
            row["label"],
        )
        for row in read("super_glue/multirc:1.0.2", real, "validation")
    }


@pytest.fixture
def offline(real, shared_data, monkeypatch):
    """As with --tfds_data_dir and --vocabulary, on a machine whose network works."""
    from mtf_synthesizer.tasks import t5_mixtures, vocabularies

    assert t5_mixtures
    monkeypatch.setattr(gcs_utils, "exists", lambda path: True)
    model = shared_data / "vocab/t5_cc_all.32000/sentencepiece.model"
    vocabularies.choose(str(model))
    task_data.read_from(str(real))
    yield model
    task_data.read_from(None)
    vocabularies.choose(None)


# Task -> split, examples that T5 makes of it, first words of every input.
STOCK = {
    "glue_cola_v002": ("train", 8551, "cola sentence: "),
    "glue_sst2_v002": ("validation", 872, "sst2 sentence: "),
    "glue_mrpc_v002": ("validation", 408, "mrpc sentence1: "),
    "glue_rte_v002": ("train", 2490, "rte sentence1: "),
    "glue_qnli_v002": ("validation", 5463, "qnli question: "),
    "glue_ax_v002": ("test", 1104, "mnli hypothesis: "),
    "super_glue_boolq_v102": ("validation", 3270, "boolq passage: "),
    "super_glue_copa_v102": ("train", 400, "copa choice1: "),
    "super_glue_multirc_v102": ("validation", 4848, "multirc question: "),
    "super_glue_rte_v102": ("test", 3000, "rte hypothesis: "),
    "super_glue_wic_v102": ("validation", 638, "wic pos: "),
    # Of the training rows only those whose span is the referent.
    "super_glue_wsc_v102_simple_train": ("train", 259, "wsc: "),
    "super_glue_wsc_v102_simple_eval": ("validation", 104, "wsc: "),
}


@pytest.mark.parametrize("name", STOCK)
def test_stock_tasks_read_prepared_data_offline(name, offline):
    import sentencepiece

    split, count, begin = STOCK[name]
    task = seqio.get_mixture_or_task(name)
    lengths = {"inputs": 512, "targets": 62}
    examples = list(tfds.as_numpy(task.get_dataset(lengths, split=split, shuffle=False)))
    assert len(examples) == count
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(offline))
    for example in examples[:5]:
        text = example["inputs_pretokenized"].decode()
        assert text.startswith(begin.partition(" ")[0])
        assert list(example["inputs"]) == [*pieces.encode(text)[:511], 1]


def test_data_that_is_not_there_is_named(offline, tmp_path):
    task_data.read_from(str(tmp_path))
    with pytest.raises(names.UserError, match=r"glue/cola:1\.0\.0.*data prepare"):
        task_data.check("glue_cola_v002", "train")


def test_a_split_that_is_not_there_is_named(offline):
    task_data.check("glue_qnli_v002", "validation")
    with pytest.raises(names.UserError, match=r"split of glue_qnli_v002 'train'.*validation"):
        task_data.check("glue_qnli_v002", "train")


def test_a_mixture_names_all_that_it_lacks(offline):
    with pytest.raises(names.UserError) as error:
        task_data.check("glue_v002_proportional", "train")
    lacking = {"glue/mnli:1.0.0", "glue/qqp:1.0.0", "glue/stsb:1.0.0"}
    assert all(name in str(error.value) for name in lacking)
    assert "cola" not in str(error.value)


def test_a_stock_task_trains_from_the_sample_files(real, shared_data, tmp_path):
    from mtf_synthesizer import runner

    sizes = {"d_model": 8, "num_layers": 1, "d_ff": 11, "num_heads": 2, "d_kv": 3}
    lengths = {"max_length": 67, "inputs_length": 67, "targets_length": 5}
    options = {
        "vocabulary": str(shared_data / "vocab/t5_cc_all.32000/sentencepiece.model"),
        "tfds_data_dir": str(real),
    }
    result = runner.train(
        tmp_path / "model",
        "glue_cola_v002",
        synthesizer="rv",
        size="tiny",
        run="finetune",
        steps=3,
        batch_size=2,
        gin_params=[f"{key} = {value}" for key, value in {**sizes, **lengths}.items()],
        attention_summaries=False,
        show_progress=False,
        **options,
    )
    assert result["step"] == 3
    assert result["loss"] == pytest.approx(np.log(32128), rel=0.5)
    config = (tmp_path / "model/operative_config.gin").read_text()
    assert os.fspath(real) not in config
