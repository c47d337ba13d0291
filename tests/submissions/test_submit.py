"""From a checkpoint to a zip: whole benchmarks decoded with identities, read again, submitted."""

import contextlib
import dataclasses
import json
import shutil
import zipfile

import mtf_synthesizer.runtime.compat

import benchmark_examples
import calls
import pytest
import seqio
import submission_checker
import tensorflow as tf
import tensorflow_datasets as tfds
from submitted_files import content, t5_files

from mtf_synthesizer import errors
from mtf_synthesizer.cli import main
from mtf_synthesizer.config.request import Request, for_model
from mtf_synthesizer.data import prepare
from mtf_synthesizer.inference import predict_benchmark
from mtf_synthesizer.inference import records as decoding
from mtf_synthesizer.inference.predict import PredictOptions
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.submissions import leaderboards, prediction_files
from mtf_synthesizer.submissions.answers import TextAnswers
from mtf_synthesizer.submissions.archive import write
from mtf_synthesizer.submissions.layout import Benchmark, File, Identities, tsv
from mtf_synthesizer.upstream import examples, session

pytestmark = pytest.mark.slow

SMALL = (
    "d_model = 64",
    "num_layers = 1",
    "d_ff = 64",
    "num_heads = 2",
    "d_kv = 32",
    "dropout_rate = 0.0",
    "inputs_length = 67",
    "targets_length = 17",
    "utils.run.learning_rate_schedule = 0.01",
)
STEPS = 150


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A few test examples of every task of both benchmarks."""
    folder = tmp_path_factory.mktemp("data")
    benchmark_examples.write(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory, data):
    """A model that knows the five sentences of CoLA and nothing else."""
    folder = tmp_path_factory.mktemp("model")
    calls.train(
        folder,
        "glue_cola_v002",
        synthesizer="v",
        size="tiny",
        run="finetune",
        steps=STEPS,
        batch_size=5,
        gin_params=SMALL,
        vocabulary="bytes",
        tfds_data_dir=str(data),
        attention_summaries=False,
        show_progress=False,
    )
    return folder


def predict(model, data, benchmark, output, **options):
    tasks = options.pop("tasks", ())
    asked = {name: options.pop(name) for name in ("batch_size", "gin_params") if name in options}
    return predict_benchmark.predict_benchmark(
        model,
        Request(tfds_data_dir=str(data), **asked),
        leaderboards.find(benchmark),
        PredictOptions(output, **options),
        tasks,
    )


@pytest.fixture(scope="module")
def predicted(tmp_path_factory, model, data):
    """What the model decodes of three tasks."""
    folder = tmp_path_factory.mktemp("predicted")
    predict(model, data, "glue", folder, tasks=["CoLA", "WNLI", "AX"], batch_size=2)
    return folder


# Answers to the tasks that the model knows nothing of.
TEXTS = {
    "glue_stsb_v002": ("0.0", "3.4", "5.0"),
    "glue_wnli_v002_simple_eval": ("the worm", "fish"),
    "super_glue_wsc_v102_simple_eval": ("Mitchell", "tom"),
    "super_glue_record_v102": ("Ann", "Bob \u00e9"),
}


@contextlib.contextmanager
def configured(model, data):
    wanted = for_model(ModelFolder(model), Request(tfds_data_dir=str(data)))
    with session.configured(wanted, verbose=False):
        yield


@pytest.fixture(scope="module", params=["glue", "superglue"])
def answered(request, tmp_path_factory, model, data):
    """(benchmark with the counts of the small data, folder of answers for all of its tasks)."""
    folder = tmp_path_factory.mktemp("answered")
    (checkpoint,) = ModelFolder.at(model).choose(STEPS)
    benchmark = leaderboards.find(request.param)
    with configured(model, data):
        trained = session.build(model)
        for file in benchmark.files:
            task, answers = next(iter(file.tasks.items()))
            texts = TEXTS.get(task) or tuple(answers.official)
            (each,) = examples.example_sets(task, "test", trained, None)
            outputs = [texts[i * 2 % 3 % len(texts)] for i in range(len(each.rows))]
            records = decoding.records(each, outputs, "test", checkpoint)
            decoding.write_lines(folder / f"{task}.jsonl", records)
    return small(benchmark), folder


def small(benchmark):
    files = []
    for file in benchmark.files:
        groups = 2 if file.identities.groups else None
        few = dataclasses.replace(file.identities, count=5, groups=groups)
        files.append(dataclasses.replace(file, identities=few))
    return Benchmark(benchmark.name, tuple(files))


def lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


# Predictions -----------------------------------------------------------------------------------


def test_identities_are_those_of_the_data(answered, data):
    """A prediction's `index` is the place in the split; TFDS itself says what stands there."""
    benchmark, folder = answered
    shuffled = False
    for task in benchmark.tasks():
        source = seqio.TaskRegistry.get(task).source.tfds_dataset.name.replace(":", "/")
        with tf.Graph().as_default():
            split = tfds.builder_from_directory(data / source).as_dataset(split="test")
            there = [row["idx"] for row in tfds.as_numpy(split)]
        rows = lines(folder / f"{task}.jsonl")
        assert len(rows) == len(there) == 5
        for row in rows:
            identity = there[row["index"]]
            if isinstance(identity, dict):
                assert identity == {name: row[f"idx/{name}"] for name in identity}
            else:
                assert identity == row["idx"]
        shuffled |= [row["index"] for row in rows] != [row.get("idx") for row in rows]
        assert {(row["task"], row["split"], row["step"]) for row in rows} == {(task, "test", STEPS)}
    assert shuffled  # or the test would not see what it is there for


def test_predictions_are_of_the_examples_they_name(predicted):
    for task in ("glue_cola_v002", "glue_wnli_v002_simple_eval", "glue_ax_v002"):
        rows = lines(predicted / f"{task}.jsonl")
        assert sorted(row["idx"] for row in rows) == list(range(5))
        assert {(row["task"], row["split"], row["step"]) for row in rows} == {(task, "test", STEPS)}
        assert len({row["checkpoint"] for row in rows}) == 1
    for row in lines(predicted / "glue_cola_v002.jsonl"):
        assert row["output"] == benchmark_examples.acceptability(row["idx"])


def test_goes_on_with_tasks_that_have_no_file(model, data, predicted, tmp_path, capsys):
    folder = tmp_path / "glue"
    shutil.copytree(predicted, folder)
    (folder / "glue_cola_v002.jsonl").unlink()
    (folder / "glue_ax_v002.jsonl").write_text("kept")
    result = predict(model, data, "glue", folder, tasks=["cola", "glue_ax_v002"], batch_size=3)
    assert result["examples"] == 5
    assert (folder / "glue_ax_v002.jsonl").read_text() == "kept"
    again = (folder / "glue_cola_v002.jsonl").read_bytes()
    assert again == (predicted / "glue_cola_v002.jsonl").read_bytes()
    assert "glue_ax_v002: skipped" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"checkpoint": 0}, rf"step {STEPS}, checkpoint"),
        ({"examples": 2}, r"other settings: examples None\. Choose another folder"),
        ({"gin_params": ["num_layers = 1"]}, r"other settings: gin_params \[\]"),
    ],
)
def test_a_folder_is_of_one_checkpoint_and_settings(model, data, predicted, options, message):
    before = sorted(path.name for path in predicted.iterdir())
    with pytest.raises(errors.UserError, match=message):
        predict(model, data, "glue", predicted, **options)
    assert sorted(path.name for path in predicted.iterdir()) == before


def test_files_of_something_else_are_refused(model, data, tmp_path):
    (tmp_path / "mine.jsonl").write_text("{}")
    with pytest.raises(errors.UserError, match=r"without a readable settings\.json"):
        predict(model, data, "glue", tmp_path)


def test_all_that_is_missing_is_said_before_decoding(model, data, tmp_path):
    shutil.copytree(data / "glue" / "cola", tmp_path / "data" / "glue" / "cola")
    with pytest.raises(errors.UserError, match="lacks the split 'test' of 10 tasks") as caught:
        predict(model, tmp_path / "data", "glue", tmp_path / "glue")
    for name in ("ax", "mnli_matched", "wnli"):
        assert f"glue/{name}:1.0.0" in str(caught.value)
    assert "cola" not in str(caught.value)
    assert not (tmp_path / "glue").exists()
    with pytest.raises(errors.UserError, match=r"split 'validation' of 1 task: super_glue_cb_v102"):
        predict(model, data, "superglue", tmp_path, tasks=["CB"], split="validation")


def test_examples_without_identity_are_refused(model, data, tmp_path):
    file = File("x.tsv", {"glue_cola_v002": TextAnswers()}, Identities(5, "guid"), tsv)
    with pytest.raises(errors.UserError, match=r"glue_cola_v002: its examples lack guid"):
        predict_benchmark.predict_benchmark(
            model,
            Request(tfds_data_dir=str(data)),
            Benchmark("b", (file,)),
            PredictOptions(tmp_path),
        )


# Submissions -----------------------------------------------------------------------------------


def test_files_are_those_of_t5s_own_script(answered, model, data, tmp_path):
    """Except for the order, and for AX, which it does not know."""
    benchmark, folder = answered
    write(tmp_path / "s.zip", prediction_files.read([folder]), benchmark)
    made = t5_files(folder, benchmark.name, model, data, tmp_path / "t5")
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        assert archive.namelist() == [file.name for file in benchmark.files]
        for file in benchmark.files:
            if file.name == "AX.tsv":
                continue
            (wanted,) = (made / file.stem).iterdir()
            assert wanted.name == file.name
            found = content(file.name, archive.read(file.name))
            assert found == content(file.name, wanted.read_bytes())
            values = found[1] if file.name.endswith(".tsv") else found
            assert len(values) == 5
            assert len(set(values.values())) > 1


def test_what_the_model_has_learnt_is_what_is_submitted(predicted, tmp_path):
    few = small(leaderboards.find("glue"))
    read = prediction_files.read([predicted])
    with pytest.raises(errors.UserError, match=r"AX\.tsv.*5 of 5 decoded texts are not answers: '"):
        write(tmp_path / "s.zip", read, few, partial=True)
    invalid = ["neutral", "WNLI=0"]
    report = write(tmp_path / "s.zip", read, few, partial=True, invalid=invalid)
    assert [file.replaced for file in report.files if file.file.stem != "WNLI"] == [0, 5]
    with zipfile.ZipFile(tmp_path / "s.zip") as archive:
        _, table = content("CoLA.tsv", archive.read("CoLA.tsv"))
    assert table == {"0": "1", "1": "0", "2": "0", "3": "1", "4": "0"}


# Official test sets ----------------------------------------------------------------------------


def test_official_winograd_schemas(model, shared_data, tmp_path, capsys):
    """146 real examples each, from official files to zips, by the command line."""
    data = tmp_path / "data"
    absent = {"glue": submission_checker.GLUE, "superglue": submission_checker.SUPER_GLUE}
    for benchmark, name, label in (("glue", "WNLI", "entailment"), ("superglue", "WSC", "True")):
        prepare.run(benchmark, official(shared_data / benchmark, name, tmp_path), data)
        output, path = tmp_path / benchmark, tmp_path / f"{benchmark}.zip"
        command = ["predict", "--benchmark", benchmark, "--tasks", name, "--output", str(output)]
        command += ["--model_dir", str(model), "--tfds_data_dir", str(data), "--batch_size", "73"]
        assert main.main(command) == 0
        command = ["submit", "--benchmark", benchmark, "--predictions", str(output), "--partial"]
        command += ["--output", str(path), "--invalid", label]
        assert main.main(command) == 0
        others = set(absent[benchmark]) - {f"{name}.tsv", f"{name}.jsonl"} | {"MultiRC.jsonl"}
        assert submission_checker.problems(benchmark, path, others) == []
    assert "146 examples of super_glue_wsc_v102_simple_eval" in capsys.readouterr().out


def official(source, name, target):
    """A folder with the official files of one task."""
    shutil.copytree(source / name, target / f"official_{source.name}" / name)
    return target / f"official_{source.name}"
