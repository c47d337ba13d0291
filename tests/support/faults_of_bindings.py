"""Mistakes in bindings and gin files. All are found before TensorFlow."""

from faults import Fault, every, written
from faults_of_flags import RV


def bound(title, binding, *said):
    """A binding of --gin_param."""
    return Fault(title, f'{RV} --gin_param "{binding}"', said)


BINDINGS = [
    bound(
        "a parameter that is misspelt",
        "SyntheticAttention.num_head = 2",
        "SyntheticAttention has no parameter 'num_head'. Did you mean 'num_heads'",
        "Parameters:",
    ),
    *(
        bound(
            f"a parameter of {name}, which has none",
            f"{name}.scale = 2",
            f"{name} has no parameter 'scale'. Parameters: none",
        )
        for name in ("Uniform", "DotProduct", "FixedPatterns", "Tile")
    ),
    bound(
        "a function or class that is misspelt",
        "Randm.max_length = 2",
        "unknown configurable 'Randm'. Did you mean 'Random'",
        "--module_import",
    ),
    bound(
        "a reference that is misspelt",
        "Sum.functions = [@Rndom()]",
        "unknown configurable 'Rndom'. Did you mean 'Random'",
    ),
    bound(
        "a macro that is misspelt",
        "d_modle = 64",
        "no gin file uses a macro 'd_modle'. Did you mean 'd_model'",
    ),
    bound(
        "a macro that is never set",
        "run.batch_size = %batchsize",
        "the macro %batchsize is never set.",
    ),
    Fault(
        "macros that stand for each other",
        f'{RV} --gin_file meshes/data.gin --gin_param "data_devices = %model_devices" '
        '--gin_param "model_devices = %data_devices"',
        (
            "%data_devices refers to itself: %data_devices = %model_devices = %data_devices",
            "Bind one of these macros to a value",
        ),
    ),
    bound("a binding that is no gin", "d_model = = 3", "d_model = = 3", "not valid gin syntax"),
    bound("a bracket that is not closed", "d_model = (1,", "not valid gin syntax"),
    bound("a key that can be none", "d_model = {[]: 1}", "not valid gin syntax", "unhashable"),
    bound(
        "a word for a number",
        "num_layers = 'four'",
        "num_layers must be a whole number above 0, not 'four'",
    ),
    bound("no width", "d_model = 0", "d_model must be a whole number above 0, not 0"),
    bound(
        "fewer heads than none",
        "SyntheticAttention.num_heads = -1",
        "num_heads must be a whole number above 0, not -1",
    ),
    bound(
        "half a position",
        "Random.max_length = 2.5",
        "max_length must be a whole number above 0, or None, not 2.5",
    ),
    bound(
        "more dropout than all",
        "dropout_rate = 2.0",
        "dropout_rate must be a number in [0, 1), not 2.0",
    ),
    bound(
        "an infinite learning rate",
        "utils.run.learning_rate_schedule = 1e999",
        "learning_rate_schedule must be a finite number, 0 or more, not inf",
    ),
    bound(
        "a learning rate that is no number",
        "utils.run.learning_rate_schedule = 'NaN'",
        "learning_rate_schedule must be a finite number, 0 or more, not 'NaN'",
    ),
    bound("a number for a switch", "pack = 1", "pack must be True or False, not 1"),
    bound(
        "a batch of no tokens",
        "run.batch_size = ('tokens_per_batch', 0)",
        "batch_size must be a whole number above 0, or a pair like",
    ),
    bound(
        "tables for fewer tokens than there are",
        "max_length = 16",
        "Random.max_length is 16, but the inputs have 512 tokens: bind max_length = 512 or more",
        "fewer tokens (the macros inputs_length and targets_length)",
        "Random.beyond_max_length = @Tile()",
    ),
    bound(
        "a table for fewer tokens than there are",
        "decoder/Random.max_length = 113",
        "Random.max_length is 113, but the targets have 114 tokens",
        "bind decoder/Random.max_length = 114 or more",
    ),
    Fault(
        "positions for fewer tokens than there are",
        f'{RV} --run demo_pretrain --gin_param "max_length = 8"',
        (
            "Unitransformer.max_length is 8, but the inputs have 64 tokens: bind max_length = 64 "
            "or more, or bind fewer tokens (the macros inputs_length and targets_length)",
        ),
    ),
    Fault(
        "a gin file that is misspelt",
        f"{RV} --gin_file clip_gradient.gin",
        ("gin file 'clip_gradient.gin' not found. Did you mean 'clip_gradients.gin'", "Looked in"),
    ),
    Fault(
        "a folder for a gin file",
        f"{RV} --gin_file sizes",
        ("gin file 'sizes' not found.",),
    ),
    Fault(
        "names that are misspelt in a gin file",
        f"{RV} --gin_file mine.gin",
        ("mine.gin:2: Mixture has no parameter 'function'. Did you mean 'functions'",),
        written("mine.gin", "# mine\nMixture.function = [@Random()]\n"),
    ),
    Fault(
        "a gin file that includes one that is not there",
        f"{RV} --gin_file mine.gin",
        ("gin file 'sizes/tinny.gin' not found. Did you mean 'sizes/tiny.gin'",),
        written("mine.gin", "include 'sizes/tinny.gin'\n"),
    ),
    Fault(
        "gin files that include each other",
        f"{RV} --gin_file mine.gin",
        ("gin file mine.gin includes itself: mine.gin > other.gin > mine.gin",),
        every(
            written("mine.gin", "include 'other.gin'"), written("other.gin", "include 'mine.gin'")
        ),
    ),
    Fault(
        "a gin file in UTF-16",
        f"{RV} --gin_file mine.gin",
        ("gin file mine.gin: not UTF-8 text",),
        written("mine.gin", "d_model = 64\n".encode("utf-16")),
    ),
    Fault(
        "a module that is not Python",
        f"{RV} --module_import mine --gin_param mine.a=3",
        ("mine.py is not valid Python", "line 2"),
        written("mine.py", "import gin.config\ndef mine(a:\n"),
    ),
]

TABLES = {"Bindings and gin files": BINDINGS}
