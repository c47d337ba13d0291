"""Damaged folders of models and data, tasks and configurations that can't be: see `fault_place`."""

from faults import Fault, cut, removed, replaced, written

TASK = "synthesizer_multi30k_ende_v001"
DATA = "--tfds_data_dir data"
READY = "data/multi30k/de-en/1.0.0"
NEW = f"train --model_dir new --task {TASK} --size tiny {DATA} --vocabulary bytes --steps 2"
EVALUATE = f"evaluate --model_dir runs/m --task {TASK} {DATA}"
PREDICT = f"predict --model_dir runs/m {DATA}"
COST = "cost --size tiny"
RECORDS = ("new", "new/run.lock", "new/run.json", "new/vocabulary.json", "new/vocabulary.model")
COMMON = (NEW, EVALUATE, PREDICT, COST)  # what docs/errors.md leaves out


def evaluated(title, *said, more="", change=lambda place: None, late=True):
    return Fault(title, f"{EVALUATE} {more}".strip(), said, change, late)


def trained(title, more, *said, change=lambda place: None, leaves=RECORDS):
    return Fault(title, f"{NEW} {more}", said, change, True, leaves)


def counted(title, more, *said):
    return Fault(title, f"{COST} {more}", said, late=True)


FOLDERS = [
    evaluated(
        "a step that there is not",
        "no checkpoint '4' in runs/m: choose latest, all, best or one of 0, 2",
        more="--checkpoints 4",
        late=False,
    ),
    evaluated(
        "a word for a step",
        "no checkpoint 'bset' in runs/m: choose latest, all, best or one of",
        more="--checkpoints bset",
        late=False,
    ),
    evaluated(
        "the best step without a report",
        "has no best step of synthesizer_multi30k_ende_v001.",
        "--split validation --checkpoints all",
        more="--checkpoints best",
        late=False,
    ),
    evaluated(
        "a report that is cut off",
        f"runs/m/eval_{TASK}_validation.json is no report of an evaluation",
        more="--checkpoints best",
        change=written(f"runs/m/eval_{TASK}_validation.json", '{"best": [{"task"'),
        late=False,
    ),
    evaluated(
        "an index of a checkpoint that is cut off",
        "no checkpoint '2' in runs/m: choose latest, all, best or one of 0",
        more="--checkpoints 2",
        change=cut("runs/m/model.ckpt-2.index", -9),
        late=False,
    ),
    evaluated(
        "an index of a checkpoint that is damaged",
        "a checkpoint can't be read: its files are damaged or cut off. Choose an earlier one",
        change=replaced("runs/m/model.ckpt-2.index", b"layer_000", b"layer_0\xff0"),
    ),
    evaluated(
        "values of a checkpoint that are cut off",
        "a checkpoint can't be read: its files are damaged or cut off. Choose an earlier one",
        change=cut("runs/m/model.ckpt-2.data-00001-of-*", 100),
    ),
    evaluated(
        "a checkpoint without its values",
        "no checkpoint '2' in runs/m: choose latest, all, best or one of 0",
        more="--checkpoints 2",
        change=removed("runs/m/model.ckpt-2.data-*"),
        late=False,
    ),
    evaluated(
        "a folder without checkpoints",
        "no checkpoint (model.ckpt-<step>.index and .data-...) in runs/m",
        change=removed("runs/m/model.ckpt-*"),
        late=False,
    ),
    evaluated(
        "a configuration that is cut off",
        "the configuration is not complete",
        "Is one of runs/m/operative_config.gin cut off",
        change=cut("runs/m/operative_config.gin", 1000),
    ),
    evaluated(
        "a configuration that is empty",
        "the configuration names no task",
        "is its operative_config.gin empty or cut off?",
        change=written("runs/m/operative_config.gin", ""),
    ),
    evaluated(
        "a configuration that is no text",
        "operative_config.gin: not UTF-8 text",
        change=written("runs/m/operative_config.gin", "d_model = 8\n".encode("utf-16")),
        late=False,
    ),
    evaluated(
        "a record of a vocabulary that is cut off",
        "runs/m/vocabulary.json is no record of a vocabulary",
        "remove it if",
        change=cut("runs/m/vocabulary.json", 50),
        late=False,
    ),
    evaluated(
        "another vocabulary than the model's",
        "have another vocabulary than the model in runs/m was made with: kind sentencepiece",
        more="--vocabulary words.model",
    ),
    evaluated(
        "a report in place of another file",
        "runs/m/run.json is no report of an evaluation",
        "choose another file with --output",
        more="--output runs/m/run.json",
    ),
    evaluated(
        "a report in place of a folder",
        "runs is a folder: give the name of a file",
        more="--output runs",
        late=False,
    ),
    Fault(
        "a record of a run that is cut off",
        NEW.replace("new", "runs/m"),
        ("runs/m/run.json is no record of a run", "remove it if"),
        cut("runs/m/run.json", 50),
    ),
    Fault(
        "another run in a folder",
        NEW.replace("new", "runs/m") + " --synthesizer v",
        ("runs/m holds another run: --synthesizer rv, not --synthesizer v", "another --model_dir"),
    ),
    trained(
        "a start from another model",
        "--synthesizer v --init_checkpoint runs/m",
        "--init_checkpoint runs/m/model.ckpt-2 is of another model: the variable",
        "Give the --synthesizer, --size and lengths that it was trained with",
    ),
    Fault(
        "predictions in place of another file",
        f"{PREDICT} --task {TASK} --split validation --output words.model",
        ("--output words.model is there and holds no predictions: choose another file",),
        late=True,
    ),
    Fault(
        "predictions in place of a folder",
        f"{PREDICT} --task {TASK} --output runs",
        ("runs is a folder: give the name of a file",),
    ),
    Fault(
        "an export in place of a folder",
        "export --model_dir runs/m --mode greedy --output data",
        ("--output data is there and not empty: choose a new folder",),
    ),
    Fault(
        "lines to predict that are not there",
        f"{PREDICT} --input absent.txt --output new.txt",
        ("--input absent.txt: no such file. Give a text file, or - to pipe in",),
    ),
    Fault(
        "lines to predict in Latin-1",
        "predict --model_dir runs/m --input lines.txt --output new.txt",
        ("lines.txt, line 2: not UTF-8 text",),
        written("lines.txt", "One\ncaf\u00e9\n".encode("latin-1")),
        late=True,
    ),
    Fault(
        "predictions of a benchmark in place of a file",
        f"{PREDICT} --benchmark glue --output words.model",
        ("words.model can't be written:", "words.model is no folder"),
    ),
]

TASKS = [
    trained(
        "a task that is misspelt",
        f"--synthesizer r --task {TASK.replace('ende', 'edne')}",
        "unknown task 'synthesizer_multi30k_edne_v001'. Did you mean",
        TASK,
    ),
    evaluated(
        "a split that is misspelt",
        f"unknown split of {TASK} 'vaildation'. Did you mean 'validation'",
        more="--split vaildation",
    ),
    evaluated(
        "a split that was not prepared",
        f"unknown split of {TASK} 'test'.",
        "`mtf_synthesizer data prepare --overwrite` adds it",
        more="--split test",
    ),
    trained(
        "a task without its data",
        "--synthesizer r --task synthesizer_multi30k_enfr_v001",
        "needs data that is not in --tfds_data_dir data: multi30k/fr-en:1.0.0.",
        "data prepare",
    ),
    trained(
        "a mixture without its data",
        "--synthesizer r --task glue_v002_proportional",
        "glue_v002_proportional needs data that is not in --tfds_data_dir data: glue/",
        "data prepare",
    ),
    trained(
        "a mixture with a task that there is not",
        "--synthesizer r --module_import fault_mixture",
        "--module_import fault_mixture fails: ValueError:",
        "absent_task",
        change=written(
            "fault_mixture.py",
            "import seqio\nseqio.MixtureRegistry.add('m', ['absent_task'], default_rate=1)\n",
        ),
    ),
    trained(
        "a module that there is not",
        "--synthesizer r --module_import fault_absent",
        "--module_import: no module named 'fault_absent'",
    ),
    trained(
        "a module that fails",
        "--synthesizer r --module_import fault_zero",
        "--module_import fault_zero fails: ZeroDivisionError: division by zero",
        change=written("fault_zero.py", "1 / 0\n"),
    ),
    evaluated(
        "a split without examples",
        "the split 'validation' of task fault_empty has no examples",
        more="--task fault_empty --module_import fault_empty",
        change=written(
            "fault_empty.py",
            "import seqio\n"
            "import tensorflow as tf\n"
            "from mtf_synthesizer.tasks import vocabularies\n"
            "def source(split, shuffle_files=False, seed=None):\n"
            "    texts = {'inputs': ['a'], 'targets': ['b']}\n"
            "    return tf.data.Dataset.from_tensor_slices(texts).take(0)\n"
            "seqio.TaskRegistry.add(\n"
            "    'fault_empty',\n"
            "    seqio.FunctionDataSource(source, splits=('train', 'validation')),\n"
            "    preprocessors=[seqio.preprocessors.tokenize],\n"
            "    output_features=vocabularies.output_features(),\n"
            ")\n",
        ),
    ),
    Fault(
        "a benchmark without its data",
        f"{PREDICT} --benchmark glue --output new",
        ("--tfds_data_dir has no split 'test' for 11 of the tasks: glue_cola_v002 (", "--tasks"),
        late=True,
    ),
    Fault(
        "a task of a benchmark that is misspelt",
        f"{PREDICT} --benchmark glue --tasks CoLa2 --output new",
        ("unknown task of glue 'CoLa2'. Did you mean 'CoLA'",),
    ),
    Fault(
        "tasks of no benchmark",
        f"{PREDICT} --task {TASK} --tasks CoLA --output new",
        ("--tasks chooses from a benchmark: give --benchmark, or one --task",),
    ),
    evaluated(
        "examples that are cut off",
        "a file of data can't be read: it is damaged or cut off. Make it again, with `data prepare",
        change=cut(f"{READY}/*validation.tfrecord*", -3),
    ),
    evaluated(
        "examples that are damaged",
        "a file of data can't be read: it is damaged or cut off.",
        change=replaced(f"{READY}/*validation.tfrecord*", b"Line 1", b"Lime 1"),
    ),
    evaluated(
        "examples that are gone",
        "multi30k",
        change=removed(f"{READY}/*validation.tfrecord*"),
    ),
    evaluated(
        "a description of data that is cut off",
        f"{TASK}: nothing can be read of its data in data",
        "data prepare --overwrite",
        change=cut(f"{READY}/dataset_info.json", 50),
    ),
    evaluated(
        "features of data that are cut off",
        f"{TASK}: nothing can be read of its data in data",
        "data prepare --overwrite",
        change=cut(f"{READY}/features.json", 50),
    ),
    *(
        trained(
            title,
            "--synthesizer r --vocabulary cut.model",
            "--vocabulary cut.model: no SentencePiece model can be read there",
            "Give the path of a .model file, or 'bytes'",
            change=change,
        )
        for title, change in (
            (
                "a vocabulary that is cut off",
                lambda place: written("cut.model", (place / "words.model").read_bytes()[:-500])(
                    place
                ),
            ),
            ("a vocabulary that is a text", written("cut.model", "the\nof\n")),
            ("a vocabulary that is empty", written("cut.model", "")),
        )
    ),
]

MODELS = [
    trained(
        "\u03b1 for no functions",
        '--synthesizer rv --gin_param "Mixture.functions = []"',
        "Mixture.functions is []; it must be a list of at least one synthesizing function",
    ),
    counted(
        "functions without parentheses",
        '--synthesizer rv --gin_param "Mixture.functions = [@Random]"',
        "which is no synthesizing function; in gin write @Random() with parentheses",
    ),
    counted(
        "heads that share keys and do not divide",
        '--synthesizer rv --gin_param "num_heads = 4" '
        '--gin_param "SyntheticAttention.num_memory_heads = 3"',
        "SyntheticAttention.num_memory_heads is 3, which does not divide",
        "num_heads = 4; choose a divisor",
    ),
    counted(
        "factors that do not divide",
        '--synthesizer fd --gin_param "max_length = 512" --gin_param "FactorizedDense.a = 7"',
        "FactorizedDense.a is 7, which does not divide FactorizedDense.max_length = 512",
    ),
    counted(
        "a bias that there is not",
        "--synthesizer v --gin_param \"SyntheticAttention.relative_attention_type = 'biased'\"",
        "SyntheticAttention.relative_attention_type is 'biased'; it must be one of",
    ),
    counted(
        "a length above the maximum",
        '--synthesizer r --gin_param "max_length = 16" --gin_param "inputs_length = 17"',
        "length 17 is beyond Random.max_length = 16; raise the macro max_length",
        "shorten the batch",
        "@Tile()",
    ),
    counted(
        "heads that a mesh does not divide",
        "--synthesizer r --mesh_shape model:3 --layout heads:model",
        "heads:model splits 64 entries into 3 parts, which must be equal",
        "Choose a size of 'model' that divides 64",
    ),
    Fault(
        "a layer of maps that there is not",
        "maps --model_dir runs/m --text One --target Eins --layers 7 --output new",
        ("--layers 7: the models have attention weights in layers 1",),
        late=True,
    ),
    Fault(
        "a text that is longer than a model takes",
        "maps --model_dir runs/m --text 'Far too long a text' --output new",
        ("has 20 tokens; the model in runs/m takes 1 to 13",),
        late=True,
    ),
]

TABLES = {
    "Folders of models": FOLDERS,
    "Tasks, data and vocabularies": TASKS,
    "Models that can't be": MODELS,
}
