"""Offline caches: made by Apache Beam where it is installed (`make check-cache`), read in training.

The caches that training reads here are written by the tests, in the format of seqio's pipeline.
"""

import importlib.util
import json
import pickle
import subprocess
import sys

import mtf_synthesizer.runtime.compat

import calls
import pytest
import ram_folders
import runner_tasks
import seqio
import small_files
import tensorflow.compat.v1 as tf
import tensorflow_datasets as tfds
from small_runs import SMALLEST

from mtf_synthesizer import errors
from mtf_synthesizer.config import request
from mtf_synthesizer.data import sentence_pieces
from mtf_synthesizer.model_folder import vocabulary
from mtf_synthesizer.upstream.caches import check, read_from, remember, splits
from mtf_synthesizer.upstream.vocabulary import DEFAULT, choose, describe, output_features

pytestmark = pytest.mark.slow

BEAM = importlib.util.find_spec("apache_beam") is not None
needs_beam = pytest.mark.skipif(not BEAM, reason="Apache Beam is not installed")
TASK = "synthesizer_test_cached"
SAME_AS_CACHE = "synthesizer_test_same_as_cache"
CACHED = ("one", "three", "five", "seven", "eleven")
STEPS = (
    seqio.preprocessors.tokenize,
    seqio.CacheDatasetPlaceholder(),
    seqio.preprocessors.append_eos_after_trim,
)
# The same rows in the same order, and no dropout: the same loss says that they were the same.
FIXED = (*SMALLEST, "mesh_train_dataset_fn.shuffle = False", "dropout_rate = 0.0")
DOCUMENTS = [f"Document {n}: the number after {n} is {n + 1}, and so on." for n in range(7)]


def cached_pairs(split, shuffle_files=False, seed=None):
    return tf.data.Dataset.from_tensor_slices(
        {name: list(CACHED) for name in ("inputs", "targets")}
    )


@pytest.fixture(scope="module", autouse=True)
def tasks():
    features = {name: seqio.Feature(runner_tasks.VOCABULARY) for name in ("inputs", "targets")}
    for name, source in ((TASK, runner_tasks.pairs), (SAME_AS_CACHE, cached_pairs)):
        seqio.TaskRegistry.add(
            name,
            seqio.FunctionDataSource(source, splits=("train", "validation")),
            preprocessors=STEPS,
            output_features=features,
            metric_fns=[],
        )
    yield
    for name in (TASK, SAME_AS_CACHE):
        seqio.TaskRegistry.remove(name)


def write_cache(folder, words):
    """A finished cache of TASK whose inputs and targets are these words."""
    cache = folder / TASK
    cache.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(cache / "train.tfrecord-00000-of-00001")) as out:
        for word in words:
            ids = tf.train.Feature(int64_list=tf.train.Int64List(value=[3 + b for b in word]))
            features = tf.train.Features(feature={"inputs": ids, "targets": ids})
            out.write(tf.train.Example(features=features).SerializeToString())
    ids = {"shape": [None], "dtype": "int32"}
    info = {"num_shards": 1, "features": {"inputs": ids, "targets": ids}, "seqio_version": "0.0.18"}
    (cache / "info.train.json").write_text(json.dumps(info))
    (cache / "stats.train.json").write_text(json.dumps({"examples": len(words)}))
    (cache / "COMPLETED").touch()
    return folder


@pytest.fixture(scope="module")
def caches(tmp_path_factory):
    return write_cache(tmp_path_factory.mktemp("caches"), [word.encode() for word in CACHED])


def train(folder, task=TASK, caches=(), **changes):
    given = {"synthesizer": "r", "size": "tiny", "gin_params": FIXED, "attention_summaries": False}
    return calls.train(
        folder,
        task,
        run="finetune",
        steps=2,
        batch_size=5,
        modules=(),
        additional_task_cache_dirs=[str(cache) for cache in caches],
        show_progress=False,
        **(given | changes),
    )["losses"]


def losses(rows):
    return [row["loss"] for row in rows]


@pytest.fixture(scope="module")
def from_cache(tmp_path_factory, caches):
    folder = tmp_path_factory.mktemp("trained") / "m"
    return folder, train(folder, caches=[caches], attention_summaries=True)


def test_training_reads_the_cache(from_cache, tmp_path):
    found = losses(from_cache[1])
    assert found == pytest.approx(losses(train(tmp_path / "a", SAME_AS_CACHE)), rel=1e-6)
    assert found != pytest.approx(losses(train(tmp_path / "b")), rel=1e-3)


def test_a_cache_in_a_remote_folder(caches):
    bucket = ram_folders.bucket()
    (bucket / TASK).mkdir(parents=True)
    for file in (caches / TASK).iterdir():
        (bucket / TASK).copy_from(file, file.name)
    read_from([str(bucket)])
    try:
        task = seqio.TaskRegistry.get(TASK)
        check(TASK, {key: {} for key in vocabulary.FEATURES})
        assert splits(task) == ["train"]
        rows = tfds.as_numpy(task.get_dataset(None, "train", use_cached=True, shuffle=False))
        words = [bytes(list(row["inputs"][:-1] - 3)).decode() for row in rows]
    finally:
        read_from(())
    assert words == list(CACHED)


def test_fine_tuning_reads_the_data_again(from_cache, tmp_path):
    lengths = ["inputs_length = 13", "targets_length = 7"]
    model = {"init_checkpoint": from_cache[0], "synthesizer": None, "size": None}
    rows = train(tmp_path / "m", gin_params=lengths, **model)
    assert [row["step"] for row in rows] == [3, 4]
    text = (tmp_path / "m" / "operative_config.gin").read_text()
    assert "mesh_train_dataset_fn.use_cached = False" in text


def test_no_finished_cache(caches, tmp_path):
    (tmp_path / TASK).mkdir()
    with pytest.raises(errors.UserError, match=f"no finished cache of {TASK} in .*{tmp_path}"):
        train(tmp_path / "m", caches=[tmp_path])
    with pytest.raises(errors.UserError, match=r"absent: no such file or folder"):
        train(tmp_path / "m", caches=[tmp_path / "absent"])
    cached = [*FIXED, "mesh_train_dataset_fn.use_cached = True"]
    with pytest.raises(errors.UserError, match=r"cache_dirs \(not given\)"):
        train(tmp_path / "m", gin_params=cached)


def test_a_task_without_a_placeholder(caches, tmp_path):
    runner_tasks.register()
    with pytest.raises(
        errors.UserError, match=r"can't be cached: its preprocessors lack seqio\.CacheDatasetPlac"
    ):
        train(tmp_path / "m", runner_tasks.PAIRS, caches=[caches])


def test_a_cache_of_another_vocabulary_is_refused(from_cache, tmp_path):
    folder = write_cache(tmp_path / "caches", [word.encode() for word in runner_tasks.WORDS])
    right = describe(runner_tasks.VOCABULARY)
    wrong = describe(seqio.ByteVocabulary(7))
    remember(str(folder / TASK), {"inputs": right, "targets": wrong})
    with pytest.raises(errors.UserError, match=r"targets .* the cache in .*: size is 259 .* 266"):
        train(tmp_path / "m", caches=[folder])
    remember(str(folder / TASK), {"inputs": right, "targets": right})
    found = losses(train(tmp_path / "m", caches=[folder]))
    # Not from the folder that the same process read before, whose losses would be equal.
    assert found != pytest.approx(losses(from_cache[1]), rel=1e-6)


def test_what_is_chosen_goes_to_another_process(tmp_path):
    model = tmp_path / "v.model"
    model.write_bytes(sentence_pieces.train_sentencepiece(DOCUMENTS, 37))
    choose(str(model))
    try:
        sent = pickle.dumps(output_features())
        ids = DEFAULT.encode(DOCUMENTS[0])
    finally:
        choose(None)
    assert pickle.loads(sent)["targets"].vocabulary.encode(DOCUMENTS[0]) == ids


@pytest.mark.skipif(BEAM, reason="Apache Beam is installed")
def test_without_beam():
    with pytest.raises(errors.UserError, match=r"pip install 'mtf_synthesizer\[beam\]'"):
        request.for_caching((), None, None)


# Runs the commands of its input one after the other; prints what each did. Not in the process of
# the tests: seqio's script and T5's have flags of the same names.
SCRIPT = """
import contextlib, io, json, sys
from mtf_synthesizer.cli import main as cli
results = []
for command in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = cli.main(command)
    results.append([status, out.getvalue(), err.getvalue()])
json.dump(results, sys.stdout)
"""
C4 = "c4_v220_span_corruption"
TWO_PROCESSES = "--direct_num_workers=2 --direct_running_mode=multi_processing"
# What is added to a command that works -> what the one message has in it.
MISTAKES = {
    "task": (["--task", "c4_v220_span_coruption"], ["unknown task", f"'{C4}'"]),
    "placeholder": (["--task", "synthesizer_verse_spans_v001"], ["can't be cached", "Placeholder"]),
    "data": (["--task", "glue_cola_v002"], ["glue/cola:1.0.0", "data prepare"]),
    "exists": (["--task", C4], [C4, "holds a cache", "--overwrite"]),
    "option": (
        ["--task", "c4_v220_full_lm", "--pipeline_options=--runer=FlinkRunner"],
        ["--runer", "'runner'"],
    ),
    "runner": (
        ["--task", "c4_v220_full_lm", "--pipeline_options=--runner=FlinkRuner"],
        ["FlinkRuner", "FlinkRunner"],
    ),
    "value": (
        ["--task", "c4_v220_full_lm", "--pipeline_options=--direct_num_workers=many"],
        ["--direct_num_workers", "many"],
    ),
    "no cache": (["--task", "c4_v220_prefix_lm"], ["is not a cache", "c4_v220_prefix_lm"]),
}


@pytest.fixture(scope="module")
def by_beam(tmp_path_factory):
    """The folder, and what the commands did: one that works, its mistakes, and it again."""
    folder = tmp_path_factory.mktemp("beam")
    pages = ({"text": text, "timestamp": "", "url": ""} for text in DOCUMENTS)
    lines = [json.dumps(page) for page in pages]
    small_files.write(folder, "c4-train.00000-of-00001.json", *lines)
    (folder / "v.model").write_bytes(sentence_pieces.train_sentencepiece(DOCUMENTS, 37))
    (folder / "caches" / "c4_v220_prefix_lm").mkdir(parents=True)
    prepare = ["data", "prepare", "--benchmark", "c4", "--from", f"{folder}", "--allow_partial"]
    cache = ["cache", "--output_cache_dir", f"{folder}/caches", "--tfds_data_dir", f"{folder}/data"]
    cache += ["--vocabulary", f"{folder}/v.model", "--min_shards", "3"]
    works = [*cache, "--task", C4, f"--pipeline_options={TWO_PROCESSES}"]
    commands = [
        [*prepare, "--tfds_data_dir", f"{folder}/data"],
        works,
        *([*cache, *more] for more, _ in MISTAKES.values()),
        [*works, "--min_shards", "2", "--overwrite"],
    ]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps(commands),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    _, first, *mistakes, last = json.loads(done.stdout)
    return folder, first, dict(zip(MISTAKES, mistakes, strict=True)), last


@needs_beam
def test_beam_caches_what_sentencepiece_makes_of_the_text(by_beam, eager):
    import sentencepiece

    folder, first, _, last = by_beam
    assert (first[0], last[0]) == (0, 0)
    cache = folder / "caches" / C4
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "v.model"))
    expected = sorted(model.encode(text) for text in DOCUMENTS)
    tokens = sum(map(len, expected))
    assert f"train: 7 examples, {tokens} tokens of targets, 3 files" in first[1]
    assert f"train: 7 examples, {tokens} tokens of targets, 2 files" in last[1]
    files = sorted(str(path) for path in cache.glob("train.tfrecord*"))
    assert [file[-14:] for file in files] == ["00000-of-00002", "00001-of-00002"]
    examples = map(tf.train.Example.FromString, tf.data.TFRecordDataset(files).as_numpy_iterator())
    found = [list(each.features.feature["targets"].int64_list.value) for each in examples]
    assert sorted(found) == expected
    record = json.loads((cache / vocabulary.RECORD).read_text())
    assert record["targets"]["size"] == 37 + 100


@needs_beam
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_answered_before_anything_starts(by_beam, name):
    folder, _, mistakes, _ = by_beam
    status, out, err = mistakes[name]
    assert (status, out) == (2, "")
    assert len(err.strip().splitlines()) == 1
    for expected in MISTAKES[name][1]:
        assert expected in err
    made = {path.name for path in (folder / "caches").iterdir()}
    assert made == {C4, "c4_v220_prefix_lm"}
