"""Tasks, data, vocabularies and models that can't be, in the same folders as `faults_of_runs`."""

from faults import Fault, cut, removed, replaced, written
from faults_of_runs import COST, PREDICT, TASK, evaluated, trained

READY = "data/multi30k/de-en/1.0.0"


def counted(title, more, *said):
    return Fault(title, f"{COST} {more}", said, late=True)


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
        "run `mtf_synthesizer data prepare --overwrite` to add it",
        more="--split test",
    ),
    trained(
        "a task without its data",
        "--synthesizer r --task synthesizer_multi30k_enfr_v001",
        "needs data that is missing in --tfds_data_dir data: multi30k/fr-en:1.0.0.",
        "data prepare",
    ),
    trained(
        "a mixture without its data",
        "--synthesizer r --task glue_v002_proportional",
        "glue_v002_proportional needs data that is missing in --tfds_data_dir data: glue/",
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
            "from mtf_synthesizer.upstream import vocabulary\n"
            "def source(split, shuffle_files=False, seed=None):\n"
            "    texts = {'inputs': ['a'], 'targets': ['b']}\n"
            "    return tf.data.Dataset.from_tensor_slices(texts).take(0)\n"
            "seqio.TaskRegistry.add(\n"
            "    'fault_empty',\n"
            "    seqio.FunctionDataSource(source, splits=('train', 'validation')),\n"
            "    preprocessors=[seqio.preprocessors.tokenize],\n"
            "    output_features=vocabulary.output_features(),\n"
            ")\n",
        ),
    ),
    Fault(
        "a benchmark without its data",
        f"{PREDICT} --benchmark glue --output new",
        ("--tfds_data_dir lacks the split 'test' of 11 tasks: glue_cola_v002 (", "--tasks"),
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
        ("only a benchmark has tasks to choose from. Give --benchmark, or --task",),
    ),
    evaluated(
        "examples that are cut off",
        "a data file can't be read: it is damaged or truncated. Create it again with `data prepare",
        change=cut(f"{READY}/*validation.tfrecord*", -3),
    ),
    evaluated(
        "examples that are damaged",
        "a data file can't be read: it is damaged or truncated.",
        change=replaced(f"{READY}/*validation.tfrecord*", b"Line 1", b"Lime 1"),
    ),
    evaluated(
        "examples that are gone",
        "multi30k",
        change=removed(f"{READY}/*validation.tfrecord*"),
    ),
    evaluated(
        "a description of data that is cut off",
        f"{TASK}: its data in data can't be read",
        "data prepare --overwrite",
        change=cut(f"{READY}/dataset_info.json", 50),
    ),
    evaluated(
        "features of data that are cut off",
        f"{TASK}: its data in data can't be read",
        "data prepare --overwrite",
        change=cut(f"{READY}/features.json", 50),
    ),
    *(
        trained(
            title,
            "--synthesizer r --vocabulary cut.model",
            "--vocabulary cut.model: not a readable SentencePiece model",
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
        "Mixture.functions is []. It must be a list of at least one synthesizing function",
    ),
    counted(
        "functions without parentheses",
        '--synthesizer rv --gin_param "Mixture.functions = [@Random, @DotProduct()]"',
        "which is not a synthesizing function. In gin write @Random() with parentheses",
    ),
    counted(
        "heads that share keys and do not divide",
        '--synthesizer rv --gin_param "num_heads = 4" '
        '--gin_param "SyntheticAttention.num_memory_heads = 3"',
        "SyntheticAttention.num_memory_heads is 3, which does not divide",
        "num_heads = 4. Choose a divisor",
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

TABLES = {"Tasks, data and vocabularies": TASKS, "Models that can't be": MODELS}
