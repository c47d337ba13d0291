"""Commands of the documentation at a tiny size, as `small_commands` has those of `report`."""

import dataclasses
import json
import re
import shutil

from printed_commands import ROOT
from small_commands import SMALLEST, write

from mtf_synthesizer.cli import main
from mtf_synthesizer.runtime import precision

_STEPS = ("--steps", "2")
# Reasons not to run a command here, by a part of it.
_ELSEWHERE = {
    "gs://": "a server",
    "/mnt/": "a server",
    "t5_small": "tests/training: warm starts",
    "flan-t5-small": "tests/inference: a tutorial",
    "rv_of_flan": "tests/inference: a tutorial",
    "runs/demo/": "make demo",
    "v_seed1": "one seed",
    "v_seed2": "one seed",
    "--against": "PyTorch",
    "data vocabulary": "tests/data",
}
_OTHER_CHECKS = {"cache": "make check-cache", "demo": "make demo"}
# Names in commands whose data is written by no test: published data, or a model on it.
_LARGE = ("glue", "wmt", "c4", "multi30k", "table", "cnn", "personachat", "rv_of_t5", "rv_cola")


@dataclasses.dataclass(frozen=True)
class SmallCommand:
    """A command at a tiny size.

    Attributes:
      words: words of the command, after the program's name; empty for one that is not run.
      reason: why it is not run.
    """

    words: tuple[str, ...] = ()
    reason: str = ""


def small_documented(printed) -> SmallCommand:
    """A documented command at a tiny size."""
    words, text = printed.words, " ".join(printed.words)
    if words[0] in _OTHER_CHECKS:
        return SmallCommand(reason=_OTHER_CHECKS[words[0]])
    for part, reason in _ELSEWHERE.items():
        if part in text:
            return SmallCommand(reason=reason)
    if words[0] == "cost":
        return SmallCommand((*words, *_costed(words)))
    if words[0] in ("list", "report", "checkpoints", "export"):
        return SmallCommand(tuple(words))
    if words[0] == "bench":
        return _bench(words)
    if any(name in text for name in _LARGE):
        return SmallCommand(reason="large data")
    return SmallCommand((*words, *_SMALL.get(words[0], _nothing)(words)))


def _nothing(words):
    return ()


def _params(*bindings):
    return tuple(part for binding in bindings for part in ("--gin_param", binding))


def _trained(words):
    return (*_STEPS, *_params(*SMALLEST))


def _warm_started(words):
    sizes = [b for b in SMALLEST if "batch" not in b and "save" not in b]
    return _params(*sizes) if "--size" in words else ()


def _compared(words):
    rows = words[words.index("--rows") + 1].split(",")[:2]
    chosen = ("--rows", ",".join(rows), "--seeds", "0", "--vocabulary", "bytes")
    return (*_trained(words), *chosen, "--matmul_precision", precision.FLOAT32)  # that of all


def _first_examples(words):
    return ("--examples", "2") if "--task" in words else ()


def _scored(words):
    """Short targets in place of what a model wrote before."""
    return ("--targets", "answers.txt") if "--targets" in words else ()


def _own_script(words):
    bindings = [b for b in SMALLEST if "batch" not in b and "save" not in b]
    bindings += ["utils.run.batch_size = 4", "utils.run.train_steps = 2"]
    return tuple(f"--gin_param={binding}" for binding in bindings)


def _prepared(words):
    return ("--allow_partial", "--overwrite") if words[1] == "prepare" else ()


_SMALL = {
    "train": _trained,
    "warm-start": _warm_started,
    "compare": _compared,
    "evaluate": _first_examples,
    "predict": _first_examples,
    "maps": _first_examples,
    "score": _scored,
    "t5": _own_script,
    "data": _prepared,
}


def _costed(words):
    """One layer in each stack, so that the graph is built soon; tables of the paper as printed."""
    return () if "--table" in words else _params("num_layers = 1")


def _bench(words):
    if "both" in words and not precision.instructions():
        return SmallCommand(reason="a processor with bfloat16 instructions")
    # test_printed_commands.py checks the names of all rows.
    rows = words[words.index("--rows") + 1].split(",")[:2] if "--rows" in words else ("t5", "r")
    small = _without(words, "--rows", "--size", "--steps", "--no_memory")
    small += ["--rows", ",".join(rows), "--size", "tiny", "--steps", "1", "--no_memory"]
    if "--sweep" in words:
        small += ["--sweep", "16,32"]
    if "bfloat16" in words and not precision.instructions():
        small += ["--matmul_precision", "float32"]
    return SmallCommand(tuple(small))


def _without(words, *options):
    """The words without some options and their values."""
    kept, dropping = [], False
    for word in words:
        dropping = word in options or (dropping and not word.startswith("--"))
        if not dropping:
            kept.append(word)
    return kept


def prepare_documented(folder, data="data"):
    """Write the files that documented commands name, and prepare those of the first pages."""
    write(folder / "in.txt", "modern: In the beginning", "modern: And God said")
    write(folder / "answers.txt", "In the beginning", "And God said")
    shutil.copytree(ROOT / "docs" / "results", folder / "docs" / "results")
    pairs = [(f"the word {n}", f"word {n}") for n in range(8)]
    for name in ("pairs.tsv", "dev.tsv", "new.tsv"):
        write(folder / name, *("\t".join(pair) for pair in pairs))
    page = (ROOT / "docs/own_function.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (folder / "distance.py").write_text(example)
    lines = (json.dumps(dict(zip(("inputs", "targets"), pair, strict=True))) for pair in pairs)
    write(folder / "dev.jsonl", *lines)
    write(folder / "shakespeare" / "input.txt", *(f"A: line {n} of the play\n" for n in range(140)))
    (folder / "aclImdb").symlink_to(folder / "imdb")
    words = ["data", "prepare", "--benchmark", "tiny_shakespeare", "--allow_partial"]
    places = ["--from", str(folder / "shakespeare"), "--tfds_data_dir", str(folder / data)]
    assert not main.main([*words, *places]), "tiny_shakespeare can't be prepared"
