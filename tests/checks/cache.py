"""Offline caching of C4 by Apache Beam, from official files to training: `make check-cache`.

Builds the environment of requirements-beam.lock under .stacks/beam ($PYTHON311 says with which
Python), once. Its cache is compared with what the task reads in the default environment, which then
trains from the cache alone. The text is the sample of C4 if it is there (in
$MTF_SYNTHESIZER_TEST_DATA, else ../shared/data), else the one that comes with the packages, in C4's
format. Ends with the tests that need Beam.
"""

import gzip
import json
import os
import pathlib
import sys
from collections import Counter

import stacks

from mtf_synthesizer.runtime import loading

TASK = "c4_v220_span_corruption"
SAMPLES = os.environ.get("MTF_SYNTHESIZER_TEST_DATA", stacks.ROOT.parent / "shared/data")
SAMPLE = pathlib.Path(SAMPLES, "lm/c4/c4_en_train_first1000.jsonl.gz")
VOCABULARY = pathlib.Path(SAMPLES, "vocab/t5_cc_all.32000/sentencepiece.model")
STEPS = 5


def main() -> int:
    loading.load_tensorflow(verbose=False)
    folder = stacks.fresh_folder("cache_check")
    default = pathlib.Path(sys.executable).parent / "mtf_synthesizer"
    beam = stacks.build("beam", lock=stacks.ROOT / "requirements-beam.lock")
    if SAMPLE.is_file():
        source, vocabulary = SAMPLE, VOCABULARY
    else:
        print(f"no sample of C4 at {SAMPLE}: texts of the packages instead")
        source, vocabulary = own_files(folder, default)
    data = ["--tfds_data_dir", folder / "data"]
    stacks.run(
        [default, "data", "prepare", "--benchmark", "c4", "--from", source.parent]
        + ["--allow_partial", *data]
    )
    vocabulary_flag = ["--vocabulary", vocabulary]
    cached = stacks.run(
        [beam / "mtf_synthesizer", "cache", "--task", TASK, *data, *vocabulary_flag]
        + ["--output_cache_dir", folder / "caches"],
        capture=True,
    )
    print(cached, end="")
    if not same_tokens(folder, vocabulary):
        return 1
    train = [default, "train", "--synthesizer", "r", "--size", "tiny", "--task", TASK]
    trained = stacks.run(  # without the data
        [*train, "--steps", f"{STEPS}", "--batch_size", "4", "--model_dir", folder / "model"]
        + ["--additional_task_cache_dirs", folder / "caches", *vocabulary_flag],
        capture=True,
    )
    print(trained, end="")
    tests = stacks.ROOT / "tests" / "test_caching.py"
    print(stacks.run([beam / "python", "-m", "pytest", tests, "-q"], capture=True), end="")
    return 0


def own_files(folder: pathlib.Path, command: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Chapters as JSON lines and a vocabulary of them."""
    from mtf_synthesizer.tasks import pretraining as tasks_pretraining

    texts = tasks_pretraining.documents("validation")
    source, vocabulary = folder / "source" / "train.jsonl.gz", folder / "own.model"
    source.parent.mkdir()
    with gzip.open(source, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
    (folder / "texts").write_text("\n".join(texts), "utf-8")
    stacks.run(
        [command, "data", "vocabulary", "--input", folder / "texts", "--size", "2000"]
        + ["--output", vocabulary]
    )
    return source, vocabulary


def same_tokens(folder: pathlib.Path, vocabulary: pathlib.Path) -> bool:
    """Compares the cached sequences, whatever their order, with those of the data itself."""
    cached, direct = cached_tokens(folder / "caches" / TASK), direct_tokens(folder, vocabulary)
    count = (cached & direct).total()
    print(f"{count} of {direct.total()} documents have the same tokens in the cache and without it")
    return cached == direct


def cached_tokens(cache: pathlib.Path) -> Counter[tuple[int, ...]]:
    """Read without seqio."""
    import tensorflow as tf

    files = sorted(str(path) for path in cache.glob("*.tfrecord-*"))
    examples = map(tf.train.Example.FromString, tf.data.TFRecordDataset(files).as_numpy_iterator())
    return Counter(tuple(each.features.feature["targets"].int64_list.value) for each in examples)


def direct_tokens(folder: pathlib.Path, vocabulary: pathlib.Path) -> Counter[tuple[int, ...]]:
    """What the task makes of the data in the default environment."""
    import seqio

    from mtf_synthesizer.config import request
    from mtf_synthesizer.upstream import session, tasks

    wanted = request.Configuration((), (), request.TASK_MODULES, f"{vocabulary}", f"{folder}/data")
    with session.with_tasks(wanted):
        tasks.check_task(TASK)
        task = seqio.TaskRegistry.get(TASK)
        rows = task.preprocess_precache(task.source.get_dataset("train", shuffle=False))
        return Counter(tuple(row["targets"].tolist()) for row in rows.as_numpy_iterator())


if __name__ == "__main__":
    sys.exit(main())
