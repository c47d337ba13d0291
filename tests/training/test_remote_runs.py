"""Everything on `ram://`: models, gin files, vocabulary, data, predictions, reports."""

import json

import mtf_synthesizer.runtime.compat

import calls
import numpy as np
import pytest
import ram_folders
import seqio
import tensorflow.compat.v1 as tf
from ram_folders import exact_names  # noqa: F401
from runner_tasks import PAIRS
from small_runs import MODULES, train

from mtf_synthesizer.cli import main
from mtf_synthesizer.data import prepared
from mtf_synthesizer.data.sentence_pieces import train_sentencepiece
from mtf_synthesizer.data.spec import Dataset
from mtf_synthesizer.files import saving
from mtf_synthesizer.model_folder import best
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.model_folder.vocabulary import chosen
from mtf_synthesizer.training.train import loss_curve
from mtf_synthesizer.upstream import data_folder

pytestmark = pytest.mark.slow

COPY = "synthesizer_test_remote_copy"


@pytest.fixture(scope="module")
def bucket():
    return ram_folders.bucket()


@pytest.fixture(scope="module")
def models(bucket, tmp_path_factory):
    """The same model trained in a remote folder, with a remote gin file, and in an ordinary one.

    The remote one goes on afterwards.
    """
    saving.write_text(bucket / "gin/seven.gin", "utils.run.keep_checkpoint_max = 7\n")
    given = {"gin_files": [str(bucket / "gin/seven.gin")]}
    folders = {"ordinary": tmp_path_factory.mktemp("models") / "m", "remote": bucket / "m"}
    for folder in folders.values():
        train(folder, steps=3, **given)
    train(folders["remote"], steps=4, **given)
    return folders


def test_the_same_training(models):
    losses = {name: [row["loss"] for row in loss_curve(folder)] for name, folder in models.items()}
    assert len(losses["remote"]) == 4
    np.testing.assert_allclose(losses["remote"][:3], losses["ordinary"], rtol=1e-5)
    found = {
        name: {"tfevents" if "tfevents" in path.name else path.name for path in folder.iterdir()}
        for name, folder in models.items()
    }
    assert found["ordinary"] - found["remote"] == {"run.lock"}
    assert {name.partition(".data")[0] for name in found["remote"] - found["ordinary"]} == {
        "model.ckpt-4.index",
        "model.ckpt-4",
    }
    configuration = (models["remote"] / "operative_config.gin").read_text("utf-8")
    assert "keep_checkpoint_max = 7" in configuration


def command(*arguments):
    return main.main([str(argument) for argument in arguments])


def test_evaluation_and_predictions(models, bucket):
    folder, output = models["remote"], bucket / "out" / "p.jsonl"
    report = calls.evaluate(folder, PAIRS, modules=MODULES, checkpoints=3, decode=False)
    written = best.report_path(folder, PAIRS, "validation")
    assert json.loads(written.read_text("utf-8")) == report
    assert np.isfinite(report["results"][0]["loss"])
    calls.predict(folder, PAIRS, output=output, modules=MODULES, checkpoint=3)
    rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
    assert [(row["step"], row["idx"]) for row in rows] == [(3, 10 + i) for i in range(5)]
    assert command("report", folder, "--output", bucket / "out" / "report.md") == 0
    assert str(folder) in (bucket / "out" / "report.md").read_text("utf-8")


def test_an_average_and_a_start_from_there(models, bucket):
    folder, mean = models["remote"], bucket / "mean"
    ordered = ("checkpoints", "average", "--model_dir", folder, "--last", 2, "--output", mean)
    assert command(*ordered) == 0
    lengths = ("inputs_length = 13", "targets_length = 7")
    given = {"synthesizer": None, "size": None, "init_checkpoint": mean, "params": lengths}
    assert train(bucket / "next", steps=1, **given)["trained"] == 1
    assert command("checkpoints", "prune", "--model_dir", folder, "--keep_last", 1, "--delete") == 0
    assert [each.step for each in ModelFolder.at(folder).checkpoints] == [4]
    assert tf.train.latest_checkpoint(str(folder)).endswith("model.ckpt-4")


def test_data_and_vocabulary(bucket):
    """Prepared there, trained from there; the model keeps a copy of its vocabulary there."""
    from mtf_synthesizer.upstream import vocabulary

    texts = [f"{colour} {number}" for colour in ("red", "green") for number in range(30)]
    model = train_sentencepiece(texts, 22)
    saving.write_bytes(bucket / "v.model", model)
    dataset = Dataset("synthesizer_remote:1.0.0", (), features={"inputs": str, "targets": str})
    rows = [{"inputs": text, "targets": text} for text in texts]
    for some in (rows[:3], rows):  # the second in place of the first
        prepared.write(dataset, {"train": some, "validation": rows[:5]}, bucket / "data")
    seqio.TaskRegistry.add(
        COPY,
        seqio.TfdsDataSource("synthesizer_remote:1.0.0"),
        preprocessors=[seqio.preprocessors.tokenize, seqio.preprocessors.append_eos_after_trim],
        output_features=vocabulary.output_features(),
        metric_fns=[],
    )
    given = {"vocabulary": str(bucket / "v.model"), "tfds_data_dir": str(bucket / "data")}
    assert train(bucket / "copy", COPY, steps=1, **given)["step"] == 1
    assert (bucket / "copy" / "vocabulary.model").read_bytes() == model
    assert vocabulary.load(chosen(bucket / "copy")).vocab_size == 122
    data_folder.read_from(given["tfds_data_dir"])
    try:
        assert data_folder.splits(COPY) == ["train", "validation"]
        assert seqio.TaskRegistry.get(COPY).source.num_input_examples("train") == len(rows)
    finally:
        data_folder.read_from(None)
