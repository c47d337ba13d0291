"""Models that begin as a stock T5 model compute what it computes; at another length, too."""

import json
import re
import shutil

import mtf_synthesizer.runtime.compat

import calls
import numpy as np
import pytest
import runner_tasks
import tensorflow.compat.v1 as tf
import whole_models
from small_runs import MODULES, SMALLEST, train

from mtf_synthesizer import errors
from mtf_synthesizer.attention.layer import SyntheticAttention
from mtf_synthesizer.attention.synthesizers import DotProduct, FixedRandom, Mixture, Random, Sum
from mtf_synthesizer.cli import main
from mtf_synthesizer.files import new_folder, paths, saving
from mtf_synthesizer.inference import text_lines
from mtf_synthesizer.model_folder.checkpoints import OPERATIVE_CONFIG
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.training.train import alphas
from mtf_synthesizer.training.warm_start import begin, functions, plan

pytestmark = pytest.mark.slow

STEPS = 60  # after which different inputs give different outputs
STOCK = [param for param in SMALLEST if not param.startswith("max_length")]
DRAW = np.random.RandomState(7)
INPUTS = np.concatenate([DRAW.randint(3, 250, (3, 11)), np.zeros((3, 2), int)], 1)
TARGETS = DRAW.randint(3, 250, (3, 7))
STACKS = ("encoder", "decoder")
ALL = ("Random", "FactorizedRandom", "Dense", "FactorizedDense")


def mixture(*names):
    return f"Mixture.functions = [{', '.join(f'@{name}()' for name in names)}]"


MIXED = (mixture(*ALL, "DotProduct"), "FactorizedRandom.rank = 2")
LAYERS = [f"{stack}/block_000/layer_000/SyntheticAttention/" for stack in STACKS]


@pytest.fixture(scope="module")
def stock_model(tmp_path_factory):
    """T5's own layers, trained on two devices, with the norms' names of T5's first releases.

    On several devices Mesh stacks variables of one shape; its checkpoints have them one by one.
    """
    folder = tmp_path_factory.mktemp("stock") / "t5"
    params = [
        *STOCK,
        "dropout_rate = 0.0",
        "LayerStack.norm_epsilon = 1e-6",
        "LayerStack.dropout_rate = 0.0",
        "utils.run.mesh_shape = 'all:2'",
        "utils.run.layout_rules = 'batch:all'",
        "utils.run.mesh_devices = ['cpu:0', 'cpu:0']",
        "utils.run.learning_rate_schedule = 0.05",
    ]
    train(
        folder,
        synthesizer=None,
        size=None,
        steps=STEPS,
        params=params,
        gin_files=["models/bi_v1.gin"],
        attention_summaries=False,
    )
    return folder


@pytest.fixture(scope="module")
def stock_logits(stock_model):
    return whole_models.compute(stock_model, INPUTS, TARGETS)[0]


def warm_start(start, folder, *options, params=SMALLEST, size="tiny"):
    """The command itself, in this process; its status."""
    words = ["warm-start", "--from", str(start), "--model_dir", str(folder)]
    words += ["--module_import", "runner_tasks", *options]
    words += [word for param in params for word in ("--gin_param", param)]
    return main.main([*words, "--size", size, "--run", "finetune"] if size else words)


def test_the_stock_checkpoint_is_like_the_public_ones(stock_model):
    found = whole_models.values(stock_model)
    for stack in STACKS:
        scope = f"{stack}/block_000/layer_000"
        assert {f"{scope}/SelfAttention/{name}" for name in "qkvo"} <= found.keys()
        assert np.abs(found[f"{scope}/SelfAttention/relative_attention_bias"]).max() > 0.1
        assert {f"{scope}/layer_norm/scale", f"{stack}/final_layer_norm/scale"} <= found.keys()
    assert "shared/embedding" in found
    assert not [name for name in found if "stacked" in name or "slice" in name]


@pytest.mark.parametrize(
    ("synthesizer", "share", "zero"),
    [
        ("rv", 0.5, ["random/table"]),
        ("rv", 0.9, ["random/table"]),
        ("dv", 0.5, ["dense/w2"]),
        ("dv", 0.9, ["dense/w2"]),
        ("rdv", 0.5, ["random/table", "dense/w2"]),
        ("rdv", 0.9, ["random/table", "dense/w2"]),
        ("d_plus_v", None, ["dense/w2"]),
        ("toeplitz_v", None, ["toeplitz/table"]),
        ("all", None, ["random/table", "factorized_random/r2", "dense/w2", "factorized_dense/wb"]),
    ],
)
def test_a_mixture_computes_what_t5_computes(
    stock_model, stock_logits, synthesizer, share, zero, tmp_path
):
    options = [] if share is None else ["--alpha_v", str(share)]
    params = [*SMALLEST, *MIXED] if synthesizer == "all" else SMALLEST
    options += ["--synthesizer", "rv" if synthesizer == "all" else synthesizer]
    assert warm_start(stock_model, tmp_path / "m", *options, params=params) == 0
    logits, grads = whole_models.compute(tmp_path / "m", INPUTS, TARGETS, gradients_of=tuple(zero))
    assert np.abs(stock_logits).max() > 1
    np.testing.assert_allclose(logits, stock_logits, atol=1e-5, rtol=1e-5)
    assert set(grads) == {layer + name for layer in LAYERS for name in zero}
    for name, grad in grads.items():
        assert np.abs(grad).max() > 1e-4, name
    found = whole_models.values(tmp_path / "m")
    for layer in LAYERS if synthesizer != "d_plus_v" else ():
        alpha = np.exp(found[layer + "mixture/alpha"].astype(np.float64))
        alpha /= alpha.sum(-1, keepdims=True)
        wanted = share or plan.SHARE_OF_V
        np.testing.assert_allclose(alpha[:, -1], wanted, rtol=1e-6)
        np.testing.assert_allclose(alpha[:, :-1], (1 - wanted) / (alpha.shape[1] - 1), rtol=1e-6)


@pytest.mark.parametrize("macros", [True, False])
def test_a_described_folder_needs_no_size(stock_model, stock_logits, macros, tmp_path):
    """The folder of T5's own command, whose configuration may lack the macros."""
    start = tmp_path / "start"
    shutil.copytree(stock_model, start)
    if not macros:
        config = start / OPERATIVE_CONFIG
        text = config.read_text().replace("%num_heads", "2").replace("%d_kv", "3")
        lines = text.splitlines()
        config.write_text("\n".join(x for x in lines if not x.startswith(("num_heads", "d_kv"))))
    options = ["--synthesizer", "rv", "--max_length", "17"]
    assert warm_start(start, tmp_path / "m", *options, params=(), size=None) == 0
    logits, _ = whole_models.compute(tmp_path / "m", INPUTS, TARGETS)
    np.testing.assert_allclose(logits, stock_logits, atol=1e-5, rtol=1e-5)


def test_training_goes_on_in_the_folder_and_from_it(stock_model, tmp_path):
    folder = tmp_path / "m"
    warm_start(stock_model, folder, "--synthesizer", "rdv")
    options = {"synthesizer": "rdv", "attention_summaries": False}
    before = whole_models.values(folder)
    assert before["global_step"] == STEPS
    result = train(folder, steps=STEPS + 1, **options)
    assert (result["step"], result["trained"]) == (STEPS + 1, 1)
    after = whole_models.values(folder)
    for layer in LAYERS:
        for name in ("random/table", "dense/w2", "mixture/alpha", "q"):
            assert (after[layer + name] != before[layer + name]).any(), layer + name


def test_decodes_what_t5_decodes(stock_model, tmp_path):
    warm_start(stock_model, tmp_path / "m", "--synthesizer", "rv")
    text = tmp_path / "text"
    text.write_text("\n".join(f"{word} {i}" for i, word in enumerate(runner_tasks.WORDS)))
    found = []
    for number, folder in enumerate((stock_model, tmp_path / "m")):
        with text_lines.opened(str(text)) as lines:
            calls.predict_lines(
                folder,
                lines,
                output=tmp_path / str(number),
                modules=("runner_tasks",),
                show_progress=False,
            )
        found.append((tmp_path / str(number)).read_text())
    assert found[0] == found[1]
    assert len(set(found[0].splitlines())) > 1


def test_r_takes_over_all_but_the_dot_product(stock_model, tmp_path, capsys):
    assert warm_start(stock_model, tmp_path / "m", "--synthesizer", "r") == 0
    shown = capsys.readouterr().out
    before, after = (whole_models.values(folder) for folder in (stock_model, tmp_path / "m"))
    for layer in LAYERS:
        own = {name.removeprefix(layer) for name in after if name.startswith(layer)}
        assert {name for name in own if "_slot_" not in name} == {"v", "o", "random/table"}
        theirs = layer.replace("Synthetic", "Self")
        for name in ("v", "o"):
            np.testing.assert_array_equal(after[layer + name], before[theirs + name])
        assert after[layer + "random/table"].std() == pytest.approx(1, abs=0.2)
    np.testing.assert_array_equal(
        after["decoder/rms_norm/scale"], before["decoder/final_layer_norm/scale"]
    )
    lines = {line.split("  ")[0]: line for line in shown.splitlines()}
    assert "new, initial values" in lines["encoder/*/layer_000/SyntheticAttention/random/table"]
    for name in ("q", "k"):
        assert f"encoder/*/layer_000/SelfAttention/{name}" in shown
    assert shown.count("dropped") == 6


def test_what_does_not_fit_is_refused_and_nothing_written(stock_model, tmp_path, capsys):
    params = [*SMALLEST, "num_layers = 2"]
    assert warm_start(stock_model, tmp_path / "m", "--synthesizer", "rv", params=params) == 2
    said = capsys.readouterr().err
    assert "it lacks encoder/block_001/layer_000/rms_norm/scale" in said
    assert warm_start(stock_model, tmp_path / "m", "--synthesizer", "r", "--alpha_v", "0.7") == 2
    assert "this model has no new α" in capsys.readouterr().err
    assert warm_start(stock_model, stock_model, "--synthesizer", "r") == 2
    assert "not empty" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


TILED = [f"{stack}/{name}.beyond_max_length = @Tile()" for stack in STACKS for name in ALL]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A mixture of all functions with tables of length 12 = 3 * 4, one step trained."""
    folder = tmp_path_factory.mktemp("mixed") / "m"
    params = [*MIXED, mixture(*ALL, "Toeplitz", "DotProduct")]
    params += ["max_length = 12", "inputs_length = 12"]
    train(folder, steps=1, params=params, attention_summaries=False)
    return folder


@pytest.mark.parametrize(
    ("length", "rows", "params"), [(9, 9, ()), (21, 21, TILED)], ids=["cut", "tiled"]
)
def test_another_length_computes_what_the_layer_computes(mixed, length, rows, params, tmp_path):
    options = ["--max_length", str(length)]
    assert warm_start(mixed, tmp_path / "m", *options, params=(), size=None) == 0
    inputs, targets = DRAW.randint(3, 250, (2, rows)), DRAW.randint(3, 250, (2, rows))
    wanted = whole_models.compute(mixed, inputs, targets, params)[0]
    found = whole_models.compute(tmp_path / "m", inputs, targets)[0]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    table = whole_models.values(tmp_path / "m")[LAYERS[0] + "random/table"]
    assert table.shape == (2, length, length)
    assert alphas(tmp_path / "m")


@pytest.mark.parametrize(
    ("terms", "options", "message"),
    [
        ([FixedRandom(5), DotProduct()], {}, "FixedRandom can't begin with logits of 0"),
        ([Random(5), DotProduct(), DotProduct()], {}, "2 DotProduct can't begin"),
        ([Sum([Random(5)]), DotProduct()], {}, "Sum can't begin"),
        ([Random(5), DotProduct()], {"relative_attention_type": "contextual"}, "'contextual'"),
    ],
)
def test_functions_that_can_not_begin_with_zeros_are_refused(terms, options, message):
    layer = SyntheticAttention(Mixture(terms), **options)
    with pytest.raises(errors.UserError, match=message):
        functions.beginning("encoder/x", layer, 0.9)


def test_of_two_tables_both_are_zero():
    layer = SyntheticAttention(Mixture([Random(5), DotProduct(), Random(7)]))
    found = functions.beginning("encoder/x", layer, 0.9)
    assert set(found.own) == {"random/table", "random_1/table", "mixture/alpha"}
    assert found.query_scale == pytest.approx(1 / 0.9, rel=1e-6)


@pytest.mark.parametrize(
    ("saved", "sizes"),
    [
        ({"decoder/embedding": (128, 7), "encoder/embedding": (256, 7)}, (256, 128)),
        ({"decoder/logits/kernel": (7, 384), "shared/embedding": (256, 7)}, (256, 384)),
        ({"shared/embedding": (256, 7)}, (256, 256)),
        ({"decoder/embedding": (128, 7), "decoder/logits/kernel": (7, 384)}, (128, 384)),
    ],
)
def test_words_of_the_inputs_are_those_of_the_encoder(saved, sizes):
    assert begin._vocabulary_sizes(saved) == sizes


def test_a_vocabulary_of_another_size_is_refused(stock_model):
    (start,) = ModelFolder.at(stock_model).choose("latest")
    begin._check_sizes({name: {"size": 259} for name in ("inputs", "targets")}, start)
    record = {"inputs": {"size": 259}, "targets": {"size": 133}}
    with pytest.raises(errors.UserError, match=r"of the targets has 133 pieces.* has 384"):
        begin._check_sizes(record, start)


def test_the_arguments_are_checked_without_a_model(tmp_path):
    with pytest.raises(SystemExit):
        warm_start(tmp_path, tmp_path / "m", "--alpha_v", "1.0")
    assert warm_start(tmp_path, tmp_path / "m", "--synthesizer", "lightconv") == 2


@pytest.mark.parametrize("given", ["link", "."])
def test_an_empty_folder_is_filled_and_stays_the_one_it_is(given, tmp_path, monkeypatch):
    place = tmp_path / "place"
    place.mkdir()
    (place.parent / "link").symlink_to(place)
    monkeypatch.chdir(place if given == "." else place.parent)
    inode = place.stat().st_ino
    with pytest.raises(OSError, match="full"), new_folder.create(given) as folder:
        saving.write_text(folder / "a/b", "")
        raise OSError("disk full")
    assert not list(place.iterdir())
    with new_folder.create(given) as folder:
        for name in ("checkpoint", "a/b"):
            saving.write_text(folder / name, name)
        assert not (place / "checkpoint").exists()
    assert (place / "checkpoint").read_text() == "checkpoint"
    assert (place / "a/b").read_text() == "a/b"
    assert place.stat().st_ino == inode and len(list(place.iterdir())) == 2


def test_of_a_copy_that_breaks_off_nothing_is_left(monkeypatch):
    place = paths.of("ram://broken_copy/m")
    copy = paths.RemotePath.copy_from

    def fail(folder, file, name):
        if name == "checkpoint":
            raise KeyboardInterrupt
        copy(folder, file, name)

    monkeypatch.setattr(paths.RemotePath, "copy_from", fail)
    with pytest.raises(KeyboardInterrupt), new_folder.create(place) as folder:
        for name in ("checkpoint", "a/b", "c"):
            saving.write_text(folder / name, name)
    new_folder.check("--model_dir", place)


def test_a_new_folder_of_another_file_system_is_copied_there():
    place = paths.of("ram://warm_start/m")
    with new_folder.create(place) as folder:
        for name in ("checkpoint", "a/b", "c"):
            saving.write_text(folder / name, name)
        assert not place.exists()
    for name in ("checkpoint", "a/b", "c"):
        assert (place / name).read_text() == name
    assert [each.name for each in place.parent.iterdir()] == ["m"]
    with pytest.raises(errors.UserError, match="not empty"):
        new_folder.check("--model_dir", place)


def test_a_fitted_model(tmp_path, capsys):
    """R of the first layer is the log of the mean attention; losses of three models are printed."""
    train(tmp_path / "v", synthesizer="v", steps=40, params=["dropout_rate = 0.0"])
    sizes = [each for param in SMALLEST for each in ("--gin_param", param)]
    flags = ["--module_import", "runner_tasks", "--task", runner_tasks.PAIRS, "--run", "finetune"]
    data = ["--fit", runner_tasks.PAIRS, "--examples", "5"]
    begin = ["warm-start", "--from", str(tmp_path / "v"), "--size", "tiny", *flags, *sizes, *data]
    main.main([*begin, "--synthesizer", "r", "--model_dir", str(tmp_path / "r")])
    printed = capsys.readouterr().out
    assert re.search(r"loss of .*, validation: before \d.*, after \d.*, fresh \d", printed)
    maps = calls.record_attention(
        tmp_path / "v", runner_tasks.PAIRS, MODULES, split="train", examples=5
    )
    layer = "encoder/block_000/layer_000/SyntheticAttention"
    lengths = [len(word) + 3 for word in runner_tasks.WORDS]
    shortest = min(lengths)
    mean = np.log(maps[layer].mean(0))[:, :shortest, :shortest]
    reader = tf.train.load_checkpoint(ModelFolder(paths.of(tmp_path / "r")).latest.path)
    table = reader.get_tensor(f"{layer}/random/table")[:, :shortest, :shortest]
    difference = table - mean
    np.testing.assert_allclose(difference, difference[..., :1] + 0 * difference, atol=1e-4)
    matched = ["--match_passes", "3", "--format", "json", "--model_dir", str(tmp_path / "d")]
    main.main([*begin, "--synthesizer", "d", *matched])
    printed = json.loads(capsys.readouterr().out)
    after, before = printed["divergences"][layer], printed["divergences_before_matching"][layer]
    assert sum(after) < sum(before)


def test_passes_without_a_fit_are_refused(tmp_path, capsys):
    given = ["--from", str(tmp_path), "--match_passes", "3", "--model_dir", str(tmp_path / "r")]

    assert main.main(["warm-start", "--synthesizer", "r", *given]) == main.USER_ERROR
    assert "--match_passes 3: no fit to train. Give --fit TASK" in capsys.readouterr().err


def test_a_pruned_model(tmp_path, capsys):
    """The whole command; α of this model is near 1/2, so its loss may change."""
    train(tmp_path / "rv", steps=6)
    main.main(
        [
            *("warm-start", "--from", str(tmp_path / "rv"), "--prune_heads", "--examples", "5"),
            *("--module_import", "runner_tasks", "--model_dir", str(tmp_path / "pruned")),
            *("--format", "json"),
        ]
    )
    printed = json.loads(capsys.readouterr().out)
    assert printed["losses"].keys() == {"before", "after"}
    assert printed["costs"]["after"]["parameters"] < printed["costs"]["before"]["parameters"]
    layer = printed["heads"]["encoder/block_000/layer_000/SyntheticAttention"]
    assert sorted([*layer["of_r"], *layer["of_v"]]) == [*range(len(layer["alpha"]))]
    assert printed["variables"]["shared/embedding"] == "loaded"
