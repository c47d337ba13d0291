"""Real official files, prepared whole, are what T5's own tasks train on without a network."""

import json
import os

import mtf_synthesizer.runtime.compat

import calls
import numpy as np
import pytest
import sentencepiece
import seqio
import tensorflow_datasets as tfds
from glue_files import encoded, read, rows, unpacked
from tensorflow_datasets.core.utils import gcs_utils
from tensorflow_datasets.text.glue import Glue

from mtf_synthesizer import errors
from mtf_synthesizer.data import prepare
from mtf_synthesizer.tasks import t5_mixtures
from mtf_synthesizer.upstream import data_folder, vocabulary

pytestmark = pytest.mark.usefixtures("eager")


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


@pytest.mark.slow
def test_real_files_prepared_whole(real, shared_data):
    complete = 0
    for benchmark in ("glue", "superglue"):
        for found in prepare.survey(benchmark, shared_data / benchmark):
            if found.paths:
                info = tfds.builder(found.dataset.tfds_name, data_dir=real).info
                assert info.splits[found.split.name].num_examples in found.split.counts
                complete += 1
    assert complete == 3 * 5 + 2 + 1 + 3 * 4 + 3


@pytest.mark.slow
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
    assert t5_mixtures  # imported for T5's tasks
    monkeypatch.setattr(gcs_utils, "exists", lambda path: True)
    model = shared_data / "vocab/t5_cc_all.32000/sentencepiece.model"
    vocabulary.choose(str(model))
    data_folder.read_from(str(real))
    yield model
    data_folder.read_from(None)
    vocabulary.choose(None)


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


@pytest.mark.slow
@pytest.mark.parametrize("name", STOCK)
def test_stock_tasks_read_prepared_data_offline(name, offline):
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
    data_folder.read_from(str(tmp_path))
    with pytest.raises(errors.UserError, match=r"glue/cola:1\.0\.0.*data prepare"):
        data_folder.check("glue_cola_v002", "train")


def test_a_split_that_is_not_there_is_named(offline):
    data_folder.check("glue_qnli_v002", "validation")
    with pytest.raises(errors.UserError, match=r"split of glue_qnli_v002 'train'.*validation"):
        data_folder.check("glue_qnli_v002", "train")


def test_a_mixture_names_all_that_it_lacks(offline):
    with pytest.raises(errors.UserError) as error:
        data_folder.check("glue_v002_proportional", "train")
    lacking = {"glue/mnli:1.0.0", "glue/qqp:1.0.0", "glue/stsb:1.0.0"}
    assert all(name in str(error.value) for name in lacking)
    assert "cola" not in str(error.value)


@pytest.mark.slow
def test_a_stock_task_trains_from_the_sample_files(real, shared_data, tmp_path):
    sizes = {"d_model": 8, "num_layers": 1, "d_ff": 11, "num_heads": 2, "d_kv": 3}
    lengths = {"max_length": 67, "inputs_length": 67, "targets_length": 5}
    options = {
        "vocabulary": str(shared_data / "vocab/t5_cc_all.32000/sentencepiece.model"),
        "tfds_data_dir": str(real),
    }
    result = calls.train(
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
