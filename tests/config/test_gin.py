"""Every gin file parses and finalizes; every synthesizer builds and takes a step."""

import pathlib
import re

import mtf_synthesizer.runtime.compat

import checkpoint_files
import gin
import mesh_tensorflow as mtf
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from eager_meshes import eager
from mesh_tensorflow.transformer import transformer, utils

from mtf_synthesizer import errors
from mtf_synthesizer.config import gin_files
from mtf_synthesizer.config.lint import names
from mtf_synthesizer.config.request import Configuration, Request, for_model, for_training
from mtf_synthesizer.mesh import clipping
from mtf_synthesizer.model_folder import checkpoints
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.studies.report import paper
from mtf_synthesizer.upstream import session as stock

GIN = gin_files.gin_folder()
FILES = sorted(path.relative_to(GIN).as_posix() for path in GIN.rglob("*.gin"))
# Files that only change others: what they need before them.
BEFORE = {
    "baseline_encoder.gin": ["sizes/tiny.gin", "baselines/linformer.gin"],
    "baseline_layers.gin": ["sizes/tiny.gin", "baselines/lightconv.gin"],
    "blanks.gin": ["sizes/tiny.gin", "synthesizers/v.gin"],
    "clip_gradients.gin": ["runs/pretrain.gin"],
    "encoder_only.gin": ["sizes/tiny.gin"],
    "long_range_arena.gin": ["synthesizers/v.gin", "runs/pretrain.gin"],
    "short_run.gin": ["runs/pretrain.gin"],
    "table4_layers.gin": ["synthesizers/r.gin"],
}
# A step in a second: one layer and a few numbers in each dimension.
SMALLEST = (
    "d_model = 8",
    "num_layers = 1",
    "d_ff = 11",
    "num_heads = 2",
    "d_kv = 3",
    "max_length = 7",
)
KINDS = {"lm": "lm", "encoder": "aligned"}  # model types of sizes that end so
SYNTHESIZERS = [f"synthesizers/{name}.gin" for name in gin_files.known("synthesizers")]
# Baselines with the layer that each puts into a model.
BASELINES = {
    "lightconv": "LightConv",
    "dynconv": "DynamicConv",
    "linformer": "Linformer",
    "mixer": "TokenMixing",
    "raganato": "SyntheticAttention",
    "universal": "SelfAttention",
    "t5": "SelfAttention",
    **dict.fromkeys(("mesh-r", "mesh-d", "mesh-rv", "mesh-dv"), "Synthesizer"),
    **dict.fromkeys(("mesh-lightconv", "mesh-dynconv"), "LocalConvAttnBlock"),
}
ENCODERS_ONLY = ("linformer", "raganato")
STACKS = ("tiny", "tiny_lm", "tiny_encoder")
# Most in both stacks at once.
CASES = [
    (name, size)
    for name in gin_files.known("baselines")
    for size in (STACKS if name in ("lightconv", "linformer", "mixer") else ("tiny",))
]


def configured(*files, params=()):
    return stock.configured(Configuration(files, tuple(params), ()), verbose=False)


@pytest.mark.parametrize("file", FILES)
def test_parses_and_finalizes(file):
    files = [*BEFORE.get(file, []), file]
    if file.startswith("cross"):
        files = ["sizes/tiny.gin", "synthesizers/r.gin", file]
    if file.startswith("runs/") and pathlib.Path(file).stem not in gin_files.known("runs"):
        files.insert(0, "runs/pretrain.gin")  # a part of others, which set its macros
    if file.startswith("baselines/") or (
        "synthesizers" in file and "num_heads" not in (GIN / file).read_text()
    ):
        files.insert(0, "sizes/tiny.gin")
    names.check(files, ())
    with configured(*files):
        assert gin.config_str()


def test_no_path_repeats_one_of_t5_or_mesh():
    t5 = gin_files.search_path()[0]
    theirs = {p.relative_to(t5).parts[0] for p in t5.rglob("*.gin")}
    theirs |= {p.name for p in gin_files.mesh_defaults().parent.glob("*.gin")}
    assert not theirs & {pathlib.Path(file).parts[0] for file in FILES}
    assert {"models", "dataset.gin", "defaults.gin"} <= theirs


@pytest.mark.parametrize("trains", [True, False])
def test_a_file_of_the_users_own_wins(trains, tmp_path):
    """Over the types that `train` chooses, and over those of the run that `evaluate` reads."""
    exact = (tf.float32,) * 3
    rounded = (tf.bfloat16, tf.float32, tf.bfloat16)
    name = "utils.get_variable_dtype."
    mine = tmp_path / "mine.gin"
    types = ("master_dtype", "slice_dtype", "activation_dtype")
    mine.write_text(
        "\n".join(f"{name}{t} = '{v.name}'" for t, v in zip(types, rounded, strict=True))
    )
    (tmp_path / checkpoints.OPERATIVE_CONFIG).write_text(
        f"import mesh_tensorflow.transformer.utils\n{name}master_dtype = 'float32'\n"
        f"{name}slice_dtype = 'bfloat16'\n{name}activation_dtype = 'bfloat16'"
    )
    of_t5 = ("beam_search.gin",)  # which chooses bfloat16, for TPUs
    for files, expected in (
        *(((), exact), ((str(mine),), rounded)),
        *((of_t5, exact), ((*of_t5, str(mine)), rounded)),
    ):
        request = Request(synthesizer="r", size="tiny", task="t", gin_files=files, modules=())
        wanted = for_training(request) if trains else for_model(ModelFolder(tmp_path), request)
        with stock.configured(wanted, verbose=False):
            found = utils.get_variable_dtype()
        assert (found.master_dtype, found.slice_dtype, found.activation_dtype) == expected


def test_no_module_that_would_hide_gin_config():
    assert not list(GIN.rglob("*.py"))


def test_every_synthesizer_is_explained():
    readme = (GIN / "README.md").read_text("utf-8").replace("`", " ").split()
    for folder in gin_files.KINDS:
        # Sizes of models with one stack are explained by their ending.
        endings = ("_lm", "_encoder")
        missing = {n for n in gin_files.known(folder) if not n.endswith(endings)} - set(readme)
        assert not missing


@pytest.mark.parametrize("size", gin_files.known("sizes"))
def test_sizes_say_the_kind_of_model(size):
    with configured(f"sizes/{size}.gin"):
        kind = gin.get_bindings("run", resolve_references=False)["model_type"]
    assert kind == KINDS.get(size.rpartition("_")[2], "bitransformer")


@pytest.mark.parametrize(
    ("file", "size"),
    [
        (file, size)
        for file in SYNTHESIZERS
        for size in STACKS
        # Encoder-decoders have both stacks; the other models are for one function of each kind.
        if size == "tiny" or file.split("/")[1] in ("r.gin", "d.gin", "rdv.gin", "heads_rv.gin")
    ],
)
def test_takes_a_step(file, size):
    run = "runs/pretrain.gin"
    with configured(f"sizes/{size}.gin", file, run, "clip_gradients.gin", params=SMALLEST):
        before, after, loss = _step(KINDS.get(size.rpartition("_")[2], "bitransformer"))
    assert np.isfinite(loss)
    assert all(np.isfinite(value).all() for value in after.values())
    attention = {name for name in before if "/SyntheticAttention/" in name}
    assert attention
    for name in attention:
        changed = not np.array_equal(before[name], after[name])
        assert changed != ("fixed_random" in name), name
    stacks = 2 if size == "tiny" else 1
    assert len({name.partition("/layer_")[0] for name in attention}) == stacks


@pytest.mark.parametrize(("name", "size"), CASES)
def test_a_baseline_takes_a_step(name, size):
    if name in ENCODERS_ONLY and size == "tiny_lm":
        pytest.skip("it can't decode: test_linformer.py and test_fixed_patterns.py have the errors")
    files = (f"sizes/{size}.gin", f"baselines/{name}.gin", "runs/pretrain.gin")
    params = [*SMALLEST, *(["UTLayerStack.act_max_steps = 2"] if name == "universal" else [])]
    with configured(*files, "clip_gradients.gin", params=params):
        before, after, loss = _step(KINDS.get(size.rpartition("_")[2], "bitransformer"))
    assert np.isfinite(loss)
    assert all(np.isfinite(value).all() for value in after.values())
    own = {variable for variable in before if f"/{BASELINES[name]}/" in variable}
    assert all(not np.array_equal(before[variable], after[variable]) for variable in own)
    both = size == "tiny" and name not in ENCODERS_ONLY
    assert len({variable.partition("/layer_")[0] for variable in own}) == 1 + both


POSITIONS = {
    "relative_bias": ("bias_shared", False, False),
    "learned_positions": (None, True, False),
    "sinusoidal_positions": (None, False, True),
}


@pytest.mark.parametrize("name", POSITIONS)
def test_the_choice_of_positions_is_the_same_in_all_layers(name):
    bias, learned, sinusoidal = POSITIONS[name]
    for row in ("r", "rv", "t5", "mesh-r"):
        with configured("sizes/tiny.gin", gin_files.gin_file("synthesizers", row), f"{name}.gin"):
            for layer in ("SyntheticAttention", "SelfAttention", "transformer_layers.Synthesizer"):
                assert gin.get_bindings(layer)["relative_attention_type"] == bias, (row, layer)
            stack = gin.get_bindings("Unitransformer", resolve_references=False)
            assert stack["positional_embedding"] is learned
            assert stack.get("sinusoid_positional_embedding", False) is sinusoidal


def test_base_plus_has_ten_million_parameters_more():
    with configured("sizes/base_plus.gin"):
        d_model, d_ff, layers = (
            gin.query_parameter(f"%{macro}") for macro in ("d_model", "d_ff", "num_layers")
        )
    assert (d_ff - 4 * d_model) * 2 * d_model * 2 * layers == 10_027_008


def test_a_baseline_is_named_like_a_synthesizer():
    assert gin_files.gin_file("synthesizers", "lightconv") == "baselines/lightconv.gin"
    assert not set(gin_files.known("baselines")) & set(gin_files.known("synthesizers"))
    with pytest.raises(errors.UserError, match="Did you mean 'lightconv'"):
        gin_files.gin_file("synthesizers", "lightconf")


@pytest.mark.parametrize("experiment", gin_files.known("experiments"))
def test_every_row_of_an_experiment_finalizes(experiment):
    columns = paper.columns(experiment)
    trained = {*gin_files.known("synthesizers"), *gin_files.known("baselines")}
    rows = {row for column in columns for row in column.values} & trained or {"v", "r"}
    for row in sorted(rows):
        request = Request(synthesizer=row, experiment=experiment)
        with stock.configured(for_training(request), verbose=False):
            assert gin.query_parameter("%MIXTURE_NAME")
            longest = max(gin.query_parameter(f"%{n}_length") for n in ("inputs", "targets"))
            if row not in ("t5", "lightconv", "dynconv"):  # which have no table of positions
                assert gin.query_parameter("%max_length") >= longest


def test_an_experiment_with_a_size_of_ones_own():
    request = Request(synthesizer="r", experiment="table2_lm1b", size="tiny_lm")
    with stock.configured(for_training(request), verbose=False):
        assert gin.query_parameter("%d_model") == 64
        assert gin.query_parameter("%train_steps") == 300000


def test_an_experiment_excludes_a_run():
    request = Request(synthesizer="r", experiment="table2_lm1b", run="finetune")
    with pytest.raises(errors.UserError, match="leave out --run finetune"):
        for_training(request)


def test_frozen_are_embedding_and_softmax():
    request = Request(synthesizer="rv", experiment="table5_glue")
    with stock.configured(for_training(request), verbose=False):
        pattern = gin.query_parameter("utils.run.variable_filter")
    frozen = ("shared/embedding", "decoder/logits/kernel")
    trained = ("encoder/block_000/layer_000/SyntheticAttention/q", "decoder/final_layer_norm/scale")
    assert not any(re.search(pattern, name) for name in frozen)
    assert all(re.search(pattern, name) for name in trained)


def _step(model_type):
    """A step of the configured optimizer: variables before and after, and the loss."""
    draw = np.random.RandomState(0)
    with eager():
        tf.set_random_seed(0)
        tf.train.create_global_step()
        mesh = mtf.Mesh(mtf.Graph(), "test")
        model = utils.build_model(model_type, 19, 19, layout_rules="", mesh_shape="")
        shape = mtf.Shape([mtf.Dimension("batch", 2), mtf.Dimension("length", 5)])
        ids = [
            mtf.import_tf_tensor(mesh, tf.constant(draw.randint(2, 19, (2, 5)), tf.int32), shape)
            for _ in range(2)
        ]
        is_lm = model_type == "lm"
        inputs = transformer.autoregressive_inputs(ids[1]) if is_lm else ids[0]
        loss = model.call_simple(inputs, ids[1], compute_loss=True, mode="train")[1]
        variables = mesh.graph.trainable_variables
        grads = mtf.gradients([loss], [v.outputs[0] for v in variables])
        masters = {v.name: v.get_master() for v in mesh.graph.all_variables}
        before = {name: master.numpy() for name, master in masters.items()}
        clipping.ClippedOptimizer(learning_rate=0.1).apply_grads(grads, variables)
        implementation = mtf.placement_mesh_impl.PlacementMeshImpl("", "", [""])
        lowering = mtf.Lowering(mesh.graph, {mesh: implementation})  # takes the step
        after = {name: master.numpy() for name, master in masters.items()}
        return before, after, lowering.export_to_tf_tensor(loss).numpy()


@pytest.fixture
def finished(tmp_path):
    """The folder of a run as Mesh leaves it: what it binds, it binds in scopes."""
    (tmp_path / "operative_config.gin").write_text(
        "include 'sizes/tiny.gin'\ninclude 'synthesizers/rv.gin'\n"
        "encoder/Unitransformer.positional_embedding = True\n"
        "decoder/Unitransformer.positional_embedding = True\n"
    )
    checkpoint_files.write(tmp_path, 5)
    return tmp_path


def test_a_run_of_ours_follows_a_finished_one(finished):
    request = Request(task="t", run="demo_finetune", init_checkpoint=finished)
    with stock.configured(for_training(request), verbose=False):
        assert gin.query_parameter("utils.run.train_steps") == 800 + 5


def test_a_change_without_effect_is_refused(finished):
    param = "Unitransformer.positional_embedding = False"
    request = Request(task="t", init_checkpoint=finished, gin_params=[param])
    with pytest.raises(errors.UserError, match="has no effect"):
        for_training(request)


@pytest.mark.parametrize("half", [{"size": "tiny"}, {"synthesizer": "rv"}])
def test_half_a_model_is_refused(finished, half):
    request = Request(task="t", init_checkpoint=finished, **half)
    with pytest.raises(errors.UserError, match="give both, or neither"):
        for_training(request)
