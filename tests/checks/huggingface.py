"""`make check-huggingface`: what goes to transformers and comes from there computes the same.

Random small models of transformers' T5, T5 1.1 and mT5 become models of ours, whose logits are
compared with transformers' own. Random small models of every synthesizing function, mixture and sum
are exported, and PyTorch computes logits and writes greedily, with and without a cache, compared
with our graphs token by token. PyTorch and transformers live in .huggingface, apart from .venv.
"""

import pathlib
import subprocess
import sys
import tempfile

import mtf_synthesizer.runtime.compat

import numpy as np
import random_models
import whole_models
from exported_kinds import (
    BANDED,
    CROSS_BANDED,
    CROSS_GROUPS,
    EVERYTHING,
    GATED,
    GROUPS,
    TILED,
    stretched,
)
from random_models import PAIRS, TEXT
from task_rows import small_model

from mtf_synthesizer.cli import main
from mtf_synthesizer.files import saving
from mtf_synthesizer.upstream import vocabulary as vocabularies

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PYTHON = ROOT / ".huggingface" / "bin" / "python"
TOLERANCE = 1e-4
STEPS = 8
TEXTS = ["the quick film", "a bad fox", "lazy dog", ""]
FOUR_HEADS = ("num_heads = 4",)
TABLE_4 = (
    "SyntheticAttention.num_heads = 2",
    "SyntheticAttention.key_value_size = 7",
    "SyntheticAttention.relative_attention_type = None",
)
# name -> task, synthesizer (as `random_models.make` takes it), bindings
MODELS = {
    "stock_t5_1_1": (PAIRS, None, GATED),
    **{name: (PAIRS, name, ()) for name in ("v", "r", "fix", "fr", "d", "fd")},
    **{name: (PAIRS, name, ()) for name in ("rv", "dv", "frv", "rd", "frd", "rdv")},
    **{name: (PAIRS, name, ()) for name in ("r_plus_v", "d_plus_v")},
    **{
        name: (PAIRS, name, ())
        for name in ("toeplitz", "uniform", "bias", "toeplitz_v", "uniform_v")
    },
    "heads_rv": (PAIRS, "heads_rv", ("num_heads = 4",)),
    "groups": (PAIRS, "heads_rv", GROUPS),
    "gated_rv": (PAIRS, "rv", GATED),
    "tiled_r": (PAIRS, "r", TILED),
    "table_4_d_plus_v": (PAIRS, "d_plus_v", TABLE_4),
    "one_head_rdv": (PAIRS, "rdv", ("num_heads = 1",)),
    "everything": (PAIRS, "rv", EVERYTHING),
    "banded": (PAIRS, "banded", BANDED),
    "stretched": (PAIRS, "rv", stretched(20)),
    "layers": (PAIRS, "encoder=r*1,v*1;decoder=heads_rv*1,v*1", FOUR_HEADS),
    "layers_frd": (PAIRS, "frd*1,dv*1", ()),
    **{
        f"cross_{name}": (PAIRS, f"v cross/{name}.gin", ())
        for name in ("v", "r", "fr", "d", "toeplitz", "uniform", "rv", "dv", "toeplitz_v")
    },
    "cross_groups": (PAIRS, "r cross/v.gin", CROSS_GROUPS),
    "cross_banded": (PAIRS, "v cross/v.gin", CROSS_BANDED),
    "lm_banded": (TEXT, "banded", BANDED[:1]),
    "lm_stretched": (TEXT, "rv", stretched(20)),
    "lm_layers": (TEXT, "heads_rv*1,v*1", FOUR_HEADS),
    "lm_v": (TEXT, "v", ()),
    "lm_r": (TEXT, "r", ()),
    "lm_toeplitz": (TEXT, "toeplitz", ()),
    "lm_groups": (TEXT, "heads_rv", GROUPS),
    "lm_fd": (TEXT, "fd", GATED),
    "lm_everything": (TEXT, "rv", [p for p in EVERYTHING if not p.startswith("encoder/")]),
}


def read(folder: pathlib.Path) -> bool:
    """Begin models of ours with those of transformers; whether all logits are equal."""
    equal = True
    for source in sorted(path.parent for path in folder.glob("*/config.json")):
        expected = np.load(source / "expected.npz")
        model = folder / f"{source.name}_here"
        words = ["warm-start", "--from", str(source), "--model_dir", str(model)]
        words += ["--task", PAIRS, "--run", "finetune", "--module_import", "random_models"]
        run(words)
        targets = np.roll(expected["targets"], -1, 1)
        targets[:, -1] = 3  # the decoder reads them one place later
        found = whole_models.compute(model, expected["inputs"], targets, (), ("random_models",))[0]
        logits = expected["logits"]
        difference = float(np.abs(found[..., : logits.shape[-1]] - logits).max())
        equal &= difference < TOLERANCE
        print(
            f"{'ok' if difference < TOLERANCE else 'FAILED':<7}{source.name:<22}from transformers: "
            f"logits up to {np.abs(logits).max():.3g}, differ by {difference:.2g}",
            flush=True,
        )
    return equal


def write(folder: pathlib.Path) -> None:
    """Export random models, with what they compute beside them."""
    pieces = str(small_model(folder))
    draw = np.random.RandomState(5)
    for number, (name, (task, synthesizer, params)) in enumerate(MODELS.items()):
        is_pair = task == PAIRS
        vocabulary = pieces if name == "v" else "bytes"
        words = 130 if name == "v" else 380
        size = "tiny" if is_pair else "tiny_lm"
        model, target = folder / name / "model", folder / name
        random_models.make(
            model, task, synthesizer, params, size=size, vocabulary=vocabulary, seed=number
        )
        run(
            ["export", "--format", "huggingface", "--model_dir", str(model)]
            + ["--output", str(target / "export"), "--module_import", "random_models"]
        )
        inputs = draw.randint(3, words, (4, 11 if is_pair else 3))
        if is_pair:
            inputs[0, 6:] = inputs[1, 10:] = 0
        targets = draw.randint(3, words, (4, 9))
        found = random_models.computed(model, {"inputs": inputs, "targets": targets}, STEPS)
        begin = np.zeros((4, 1), int)
        np.savez(
            target / "expected.npz",
            inputs=inputs if is_pair else np.concatenate([begin, inputs], 1),
            targets=np.concatenate([begin, targets[:, :-1]], 1),
            **found,
        )
        own = vocabularies.load(vocabulary)
        saving.write_json(target / "texts.json", [[text, list(own.encode(text))] for text in TEXTS])


def run(words: list[str]) -> None:
    """Run a command of the package in this process."""
    if status := main.main(words):
        sys.exit(f"mtf_synthesizer {words[0]} ended with {status}")


def torch(command: str, folder: pathlib.Path) -> int:
    """Run the other half of the check; its status."""
    script = str(HERE / "huggingface_torch.py")
    return subprocess.run([str(PYTHON), script, command, str(folder)], check=False).returncode


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        theirs, ours = pathlib.Path(folder) / "theirs", pathlib.Path(folder) / "ours"
        ours.mkdir()
        if torch("make", theirs):
            sys.exit("transformers could not make its models")
        is_read = read(theirs)
        write(ours)
        sys.exit(torch("compare", ours) or not is_read)
