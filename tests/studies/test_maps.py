"""Attention maps of trained models: the weights themselves, what is left out, and the command."""

import json
import re
import shutil
from unittest import mock

import mtf_synthesizer.runtime.compat

import calls
import numpy as np
import pytest
import reference
import runner_tasks
import seqio
import tensorflow.compat.v1 as tf
from runner_tasks import PAIRS, TEXT
from small_runs import SMALLEST

from mtf_synthesizer.attention.synthesizers import Dense, DotProduct
from mtf_synthesizer.cli import main
from mtf_synthesizer.studies.maps import layers, pictures

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def pictures_without_a_layout():
    """Finding room for every label takes as long as all else in a picture."""
    from matplotlib.figure import Figure

    with mock.patch.object(pictures, "_figure", lambda w, h: Figure(figsize=(w, h))):
        yield


EXAMPLES, HEADS, LENGTH = 5, 2, 8  # "green 1" and its end is the longest
FIRST = "encoder/block_000/layer_000"
DECODER = "decoder/block_000/layer_000"
CROSS = "decoder/block_000/layer_001"
ALIGNED = "synthesizer_test_aligned"
_BIAS = "relative_attention_type = None"
NO_BIAS = [f"SyntheticAttention.{_BIAS}"]
WITHOUT_TABLES = [param for param in SMALLEST if "max_length" not in param]


def train(
    folder,
    synthesizer,
    task=PAIRS,
    size="tiny",
    params=(),
    gin_files=(),
    sizes=SMALLEST,
    summaries=False,
):
    calls.train(
        folder,
        task,
        synthesizer=synthesizer,
        size=size,
        run="finetune",
        steps=2,
        batch_size=3,
        gin_files=gin_files,
        gin_params=[*sizes, "pack = False", *params],
        modules=("runner_tasks",),
        attention_summaries=summaries,
        show_progress=False,
    )
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Small models by name: R, R+V, T5's own layer, and one whose decoder is a convolution."""
    folder = tmp_path_factory.mktemp("models")
    stock = {"gin_files": ["local_cpu.gin"], "sizes": WITHOUT_TABLES}
    return {
        "r": train(folder / "r", "r", params=NO_BIAS),
        "rv": train(folder / "rv", "rv"),
        "d": train(folder / "d", "d", params=NO_BIAS),
        "t5": train(folder / "t5", None, params=[f"SelfAttention.{_BIAS}"], **stock),
        "lightconv": train(folder / "lightconv", "lightconv", sizes=WITHOUT_TABLES),
    }


def maps(output, *folders, text=(), more=()):
    """Runs the command; its exit status."""
    what = text or ("--task", PAIRS, "--examples", str(EXAMPLES))
    dirs = [str(folder) for folder in folders]
    return main.main(
        ["maps", "--model_dir", *dirs, *what, "--output", str(output)]
        + ["--module_import", "runner_tasks", *more]
    )


@pytest.fixture(scope="module")
def shown(folders, tmp_path_factory):
    """What the command wrote of each model alone."""
    output = tmp_path_factory.mktemp("maps")
    for name, folder in folders.items():
        assert maps(output / name, folder) == 0
    return output


def arrays(folder, file="attention.npz"):
    with np.load(folder / file) as found:
        return dict(found)


def variables(folder, scope, step=2):
    reader = tf.train.load_checkpoint(str(folder / f"model.ckpt-{step}"))
    names = [n for n in reader.get_variable_to_shape_map() if n.startswith(scope)]
    return {n.removeprefix(scope).lstrip("/"): reader.get_tensor(n) for n in names}


def softmax(scores, keys):
    """Of one query: float64 over the keys that it sees, 0 elsewhere."""
    found = np.zeros(len(scores))
    exponentials = np.exp(scores[keys] - scores[keys].max())
    found[keys] = exponentials / exponentials.sum()
    return found


def test_r_is_the_softmax_of_its_table(folders, shown):
    found = arrays(shown / "r")
    for place, stack in ((FIRST, "encoder"), (DECODER, "decoder")):
        table = variables(folders["r"], f"{place}/SyntheticAttention/random")["table"]
        for example, length in enumerate(found[f"lengths/{stack}"]):
            for head in range(HEADS):
                for query in range(length):
                    end = query + 1 if stack == "decoder" else length
                    expected = softmax(table[head, query].astype(float), np.arange(end))
                    weights = found[place][example, head, query]
                    np.testing.assert_allclose(weights, expected[: len(weights)], atol=1e-6)
    lengths = [len(f"{word} {i}") + 1 for i, word in enumerate(runner_tasks.WORDS)]
    assert list(found["lengths/encoder"]) == lengths


def test_of_t5s_own_layer_and_of_d_as_numpy_computes_them(folders, shown):
    classes = {
        "t5": ("SelfAttention", DotProduct()),
        "d": ("SyntheticAttention", Dense(max_length=17)),
    }
    for name, (kind, function) in classes.items():
        found = arrays(shown / name)
        weights = variables(folders[name], f"{FIRST}/{kind}")
        scale = variables(folders[name], f"{FIRST}/rms_norm")["scale"]
        embedding = variables(folders[name], "shared")["embedding"].astype(float)
        for example, length in enumerate(found["lengths/encoder"]):
            x = embedding[found["tokens/encoder"][example, :length]]
            x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * scale
            scores = reference.synthesize(function, weights, x, HEADS, reference._Scopes())
            for head in range(HEADS):
                for query in range(length):
                    expected = softmax(scores[head, query], np.arange(length))
                    got = found[FIRST][example, head, query, :length]
                    np.testing.assert_allclose(got, expected, atol=2e-5)


@pytest.mark.parametrize("name", ["r", "rv", "d", "t5", "lightconv"])
def test_rows_add_to_one_over_what_is_visible(shown, name):
    found = arrays(shown / name)
    lengths = found["lengths/encoder"]
    for place in [p for p in found if p.startswith(("encoder", "decoder"))]:
        weights = found[place]
        queries = found[f"lengths/{place.partition('/')[0]}"]
        assert weights.shape[:2] == (EXAMPLES, HEADS)
        for example in range(EXAMPLES):
            rows = weights[example, :, : queries[example]]
            np.testing.assert_allclose(rows.sum(-1), 1, atol=1e-5)
            if place == DECODER:
                assert not np.triu(weights[example], 1).any()
            else:
                assert not rows[..., lengths[example] :].any()
                assert rows[..., : lengths[example]].all()
    assert CROSS in found


def test_layers_without_weights_are_named(shown, capsys):
    described = json.loads((shown / "lightconv/maps.json").read_text())["models"][0]
    assert list(described["layers"]) == [CROSS]
    why = "LightConv computes no weights for pairs of positions"
    assert described["left_out"] == {FIRST: why, DECODER: why}
    assert described["title"] == "LightConv"
    page = (shown / "lightconv/maps.html").read_text()
    assert f"{FIRST}: {why}" in page
    assert not (shown / "lightconv/histograms.png").exists()
    assert (shown / "lightconv/decoder_attention_to_the_encoder.png").exists()


def test_titles_and_terms_are_the_papers_letters(shown):
    titles = {}
    for name in ("r", "rv", "d", "t5"):
        described = json.loads((shown / name / "maps.json").read_text())["models"][0]
        titles[name] = described["title"]
        terms = ["R", "V"] if name == "rv" else []
        assert described["layers"][FIRST]["terms"] == terms
        assert described["layers"][FIRST]["same_for_all"] == (name == "r")
    assert titles == {"r": "R", "rv": "R+V", "d": "D", "t5": "V (T5)"}


def test_alphas_are_those_of_the_checkpoint(folders, shown):
    found = arrays(shown / "rv")
    for place in (FIRST, DECODER):
        logits = variables(folders["rv"], f"{place}/SyntheticAttention/mixture")["alpha"]
        logits = logits.astype(float)
        assert logits.shape == (HEADS, 2)
        expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        np.testing.assert_allclose(found[f"alpha/{place}"], expected, atol=1e-6)
    assert (shown / "rv/alpha_1_1.png").exists()
    assert not (shown / "r/alpha_1_1.png").exists()


def test_the_start_is_the_checkpoint_of_step_0(folders, shown, tmp_path):
    start = arrays(shown / "r", "attention_start.npz")
    table = variables(folders["r"], f"{FIRST}/SyntheticAttention/random", step=0)["table"]
    length = start["lengths/encoder"][0]
    expected = softmax(table[1, 2].astype(float), np.arange(length))[:length]
    np.testing.assert_allclose(start[FIRST][0, 1, 2, :length], expected, atol=1e-6)
    pruned = tmp_path / "pruned"
    shutil.copytree(folders["r"], pruned)
    for file in pruned.glob("model.ckpt-0.*"):
        file.unlink()
    assert maps(tmp_path / "out", pruned) == 0
    drawn = arrays(tmp_path / "out", "attention_start.npz")
    assert json.loads((tmp_path / "out/maps.json").read_text())["models"][0]["initial"] == (
        "drawn again"
    )
    assert "drawn again" in (tmp_path / "out/maps.html").read_text()
    rows = drawn[FIRST][0, :, :length, :length]
    np.testing.assert_allclose(rows.sum(-1), 1, atol=1e-5)
    assert not np.allclose(drawn[FIRST][0], arrays(shown / "r")[FIRST][0])


def test_a_text_with_markup_is_only_text(folders, tmp_path, capsys):
    text = "a <b> $x_1$"
    assert maps(tmp_path, folders["rv"], text=("--text", text, "--target", "<i>")) == 0
    page = (tmp_path / "maps.html").read_text()
    assert "<b>" not in page and "<i>" not in page
    assert "&lt; b &gt;" in page  # the tokens, one a byte
    assert re.search(r"The text .*a &lt;b&gt; \$x_1\$", page)
    assert page.count('src="data:image/png;base64,') == page.count("<img") == 8
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    model = json.loads((tmp_path / "maps.json").read_text())["models"][0]
    assert model["tokens"]["encoder"] == [[*text, "</s>"]]
    assert model["tokens"]["decoder"] == [["<s>", *"<i>"]]  # what is fed in: one behind
    assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".npz", ".json", ".html"}


def test_without_a_target_the_model_writes_one(folders, tmp_path):
    assert maps(tmp_path, folders["r"], text=("--text", "blue 2")) == 0
    tokens = json.loads((tmp_path / "maps.json").read_text())["models"][0]["tokens"]
    assert tokens["decoder"][0][0] == "<s>"
    assert 1 <= len(tokens["decoder"][0]) <= 7


def test_models_side_by_side(folders, tmp_path):
    both = [folders["t5"], folders["r"]]
    assert maps(tmp_path, *both, more=["--layers", "1,9", "--split", "test"]) == 0
    assert arrays(tmp_path / "1_v", "attention.npz").keys() >= {FIRST, CROSS}
    assert arrays(tmp_path / "2_r", "attention.npz").keys() >= {FIRST, CROSS}
    page = (tmp_path / "maps.html").read_text()
    assert "Attention of V (T5), R" in page


def test_a_decoder_alone(tmp_path, capsys):
    folder = train(tmp_path / "lm", "rv", TEXT, "tiny_lm", ["targets_length = 17"])
    assert maps(tmp_path / "out", folder, text=("--text", "red green")) == 0
    found = arrays(tmp_path / "out")
    (place,) = [p for p in found if p.endswith("layer_000") and not p.startswith("alpha")]
    assert found[place].shape == (1, HEADS, 10, 10)
    np.testing.assert_allclose(found[place].sum(-1), 1, atol=1e-5)
    assert not np.triu(found[place], 1).any()
    tokens = json.loads((tmp_path / "out/maps.json").read_text())["models"][0]["tokens"]
    assert list(tokens.values()) == [[["<s>", *"red green"]]]
    capsys.readouterr()
    wrong = ("--text", "red", "--target", "x")
    assert maps(tmp_path / "out", folder, text=wrong) == main.USER_ERROR
    assert "Omit --target" in capsys.readouterr().err


def aligned(split, shuffle_files=False, seed=None):
    texts = ["red 0", "green 1"]
    return tf.data.Dataset.from_tensor_slices({"inputs": texts, "targets": texts})


def test_an_encoder_alone(tmp_path):
    seqio.TaskRegistry.add(
        ALIGNED,
        seqio.FunctionDataSource(aligned, splits=("train", "validation")),
        preprocessors=[seqio.preprocessors.tokenize],
        output_features={
            name: seqio.Feature(runner_tasks.VOCABULARY, add_eos=False)
            for name in ("inputs", "targets")
        },
    )
    folder = train(
        tmp_path / "encoder", "r", ALIGNED, "tiny_encoder", ["targets_length = 13", *NO_BIAS]
    )
    assert maps(tmp_path / "out", folder, text=("--task", ALIGNED)) == 0
    found = arrays(tmp_path / "out")
    (place,) = [p for p in found if p.endswith("layer_000")]
    assert found[place].shape == (2, HEADS, 7, 7)
    assert not found[place][0, :, :, 5:].any()  # padding
    table = variables(folder, f"{place}/SyntheticAttention/random")["table"]
    expected = softmax(table[1, 3].astype(float), np.arange(5))[:7]
    np.testing.assert_allclose(found[place][0, 1, 3], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--target", "x"], "--target x: a task has its own targets"),
        (["--checkpoint", "all"], "latest, best or a step"),
        (["--checkpoint", "7"], "one of 0, 2"),
        (["--split", "vaildation"], "'validation'"),
        (["--layers", "3"], "in layers 1"),
    ],
)
def test_mistakes(folders, tmp_path, capsys, more, message):
    assert maps(tmp_path / "out", folders["r"], more=more) == main.USER_ERROR
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_texts_of_a_wrong_length(folders, tmp_path, capsys):
    for text, count in (("fourteen bytes", 15), ("", 1)):
        status = maps(tmp_path / "out", folders["r"], text=("--text", text, "--target", ""))
        error = capsys.readouterr().err
        if count > 13:
            assert status == main.USER_ERROR
            assert f"has {count} tokens" in error and "takes 1 to 13" in error
        else:
            assert status == 0  # its end


def test_a_block_that_is_applied_again_and_again(tmp_path):
    """A Universal Transformer of one step, with Mesh's one more; a step is shown like a layer."""
    steps = ["UTLayerStack.act_max_steps = 1"]
    folder = train(tmp_path / "ut", "universal", params=steps, sizes=WITHOUT_TABLES)
    assert maps(tmp_path / "out", folder) == 0
    found = arrays(tmp_path / "out")
    places = [f"{FIRST}/step_{step:03d}" for step in range(2)]
    assert [p for p in found if p.startswith("encoder")] == places
    assert not np.allclose(found[places[0]], found[places[1]], atol=1e-4)
    described = json.loads((tmp_path / "out/maps.json").read_text())["models"][0]
    assert [described["layers"][place]["block"] for place in places] == [1, 2]
    assert described["left_out"] == {}


def test_recomputed_gradients_hide_weights(tmp_path):
    """Training goes on without summaries of them, and they are named as left out."""
    recomputed = ["encoder/LayerStack.recompute_grads = True"]
    folder = train(tmp_path / "r", "r", params=recomputed, summaries=True)
    assert maps(tmp_path / "out", folder) == 0
    described = json.loads((tmp_path / "out/maps.json").read_text())["models"][0]
    assert list(described["layers"]) == [DECODER, CROSS]
    assert "bind it to False" in described["left_out"][FIRST]
    shown_again = [f"--gin_param={recomputed[0].replace('True', 'False')}"]
    assert maps(tmp_path / "again", folder, more=shown_again) == 0
    assert FIRST in arrays(tmp_path / "again")


def test_notation():
    class Own:
        pass

    assert layers.notation(Dense(max_length=3)) == "D"
    assert layers.notation(Own()) == "Own"


def test_numbers(folders, tmp_path, capsys):
    """Of R+V: the numbers of each layer, from the arrays that the command wrote."""
    assert maps(tmp_path, folders["rv"], more=("--numbers", "--width", "1")) == 0
    printed = capsys.readouterr().out
    written = json.loads((tmp_path / "numbers.json").read_text())
    assert written["width"] == 1 and f"| R+V | {FIRST} |" in printed
    by_place = {each["place"]: each for each in written["layers"]}
    assert set(by_place) == {FIRST, DECODER, CROSS}
    found = arrays(tmp_path)
    near = [
        np.mean(
            [
                sum(found[FIRST][n, h, i, j] for j in range(size) if abs(i - j) <= 1)
                for n, size in enumerate(found["lengths/encoder"])
                for i in range(size)
            ]
        )
        for h in range(HEADS)
    ]
    np.testing.assert_allclose(by_place[FIRST]["near"], near, rtol=1e-5)
    assert min(by_place[DECODER]["rank"]) >= 1 and len(by_place[FIRST]["toeplitz"]) == HEADS
    assert list(by_place[FIRST]["alpha"]) == ["R", "V"]
    assert by_place[CROSS]["near"] is None and by_place[CROSS]["rank"] is None
