"""Nothing that is read is run or unpacked, and what is shown of it is escaped."""

import ast
import json
import pathlib
import re

import mtf_synthesizer.runtime.compat

import numpy as np
import pytest
import ram_folders
import strangers

import mtf_synthesizer
from mtf_synthesizer import errors
from mtf_synthesizer.config import request
from mtf_synthesizer.config.trust import TrustedReader
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.studies.demo import random_tables
from mtf_synthesizer.studies.demo.page import write
from mtf_synthesizer.studies.maps import page
from mtf_synthesizer.studies.maps.sections import MapSection, Picture
from mtf_synthesizer.studies.report import files, formats, tables
from mtf_synthesizer.upstream.session import configured

ROOT = pathlib.Path(mtf_synthesizer.__file__).resolve().parent
# Nothing here imports these, and PyTorch is not installed: one is copied beside exported models,
# the other runs in an environment of its own.
WITH_PYTORCH = {
    ROOT / "inference" / "huggingface" / "modeling_synthesizer.py",
    ROOT / "studies" / "bench" / "huggingface_worker.py",
}
SOURCES = sorted({*ROOT.rglob("*.py"), *(ROOT.parent / "tasks").rglob("*.py")} - WITH_PYTORCH)
# Modules that run what they read, or that unpack archives wherever these say.
UNTRUSTED = {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "torch", "yaml"}
ARCHIVES = {"tarfile", "zipimport"}
CALLS = {"eval", "exec", "unpack_archive", "extractall", "extract", "system", "popen", "mktemp"}


def trees():
    return [(path, ast.parse(path.read_bytes())) for path in SOURCES]


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]


def calls(tree):
    """Name of what is called, without what it belongs to, and the call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_there_is_something_to_look_at():
    assert len(SOURCES) > 100
    names = {name for _, tree in trees() for name, _ in calls(tree)}
    assert {"np.load", "json.loads", "zipfile.ZipFile", "open"} <= names


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_nothing_that_is_read_is_run_or_unpacked(path):
    tree = ast.parse(path.read_bytes())
    assert not (UNTRUSTED | ARCHIVES) & set(imported(tree))
    for name, call in calls(tree):
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert name.rpartition(".")[2] not in CALLS, f"{path}: {name}"
        assert given.get("allow_pickle", "False") == "False", f"{path}: {name}"
        assert given.get("shell", "False") == "False", f"{path}: {name}"
        if name == "zipfile.ZipFile":  # archives are written and never read
            assert ast.unparse(call.args[1]) == "'w'", path


def test_arrays_of_objects_are_not_loaded(tmp_path):
    """They are pickles."""
    np.savez(tmp_path / "x.npz", layer=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        random_tables.load(tmp_path / "x.npz")


def test_a_model_folder_that_changes_after_its_check_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    strangers.prepare(tmp_path, strangers.Way("", ""))
    wanted = request.for_model(ModelFolder.at("runs/m"), request.Request())
    with configured(wanted, False):
        pass
    for way in strangers.WAYS.values():
        if not way.files:
            (tmp_path / strangers.CONFIG).write_text(way.text, "utf-8")
            with (
                pytest.raises(errors.UserError, match=re.escape(way.said)),
                configured(wanted, False),
            ):
                pass
    assert not (tmp_path / strangers.MARKER).exists()


@pytest.mark.parametrize(
    "text",
    ["import os\n", "include 'blanks.gin'\ninclude '{}/dyn.gin'\n", "include '{}/../b/dyn.gin'\n"],
)
def test_a_gin_file_of_a_url_runs_nothing(text):
    folder, other = ram_folders.bucket(), ram_folders.bucket()
    for place in (folder, other):
        place.mkdir()
        (place / "dyn.gin").write_text(strangers.DYNAMIC)
    TrustedReader(()).check([_written(folder / "mine.gin", "include 'sizes/tiny.gin'\n")])
    for place in (folder, other):
        name = _written(folder / "mine.gin", text.format(place))
        with pytest.raises(errors.UserError, match="a gin file of a model folder or URL"):
            TrustedReader(()).check([name])


def _written(path, text):
    path.write_text(text)
    return str(path)


EVIL = "<script>alert('x')</script>&\"><img src=x onerror=alert(1)>\n<script>\u2028<script>"
TAG = re.compile(r"<script|<img src=x", re.IGNORECASE)


def test_the_report_escapes_what_files_say(tmp_path):
    evaluation = {
        "model_dir": EVIL,
        "task": EVIL,
        "split": EVIL,
        "results": [{"task": EVIL, "step": 3, "metrics": {EVIL: 1.0}}],
    }
    comparison = {
        "experiment": "tiny_shakespeare",
        "split": EVIL,
        "rows": {EVIL: {"metrics": {EVIL: {"values": [1.0]}}, "runs": 1, "undertrained": 0}},
    }
    cost = {"title": EVIL, "notes": [EVIL], "rows": [{"row": EVIL, "trainable_parameters": 3}]}
    cost["rows"][0][EVIL] = EVIL
    benchmark = {"size": EVIL, "machine": {EVIL: EVIL}, "flags": {"mode": EVIL}}
    benchmark["rows"] = [{"row": EVIL, EVIL: EVIL}]
    for number, content in enumerate((evaluation, comparison, cost, benchmark)):
        (tmp_path / f"{number}.json").write_text(json.dumps(content))
    (tmp_path / "<img src=x>.json").write_text("{")
    found = files.collect([str(tmp_path)])
    assert (len(found.runs), len(found.costs), len(found.benchmarks)) == (2, 1, 1)
    (skipped,) = found.skipped
    assert "<img src=x>" in skipped
    sections = tables.sections(found)
    html = formats.html(sections, found.skipped, EVIL)
    assert not TAG.search(html)
    assert html.count("&lt;script&gt;") > 10
    markdown = formats.markdown(sections, found.skipped, EVIL)
    outside_of_code = [line for line in markdown.split("\n") if not line.startswith("    ")]
    # A backslash before it makes it text.
    assert not re.search(r"(?<!\\)<(?:script|img)", "\n".join(outside_of_code))
    assert "\n<" not in markdown


class Shown:
    """Maps of a model, as far as the page asks for them."""

    model_dir = EVIL
    step = 3
    initial_is_saved = False
    left_out = {EVIL: EVIL}  # noqa: RUF012
    tokens = {"encoder": [[EVIL, "b"]]}  # noqa: RUF012


def test_the_page_of_maps_escapes_tokens_titles_and_texts():
    sections = [MapSection(EVIL, EVIL, [Picture("x.png", EVIL, b"png")])]
    html = page.html({EVIL: Shown()}, f"The text {EVIL!r}.", sections, [EVIL], EVIL)
    assert not TAG.search(html)
    assert html.count("&lt;script&gt;alert") == 16


def test_the_page_of_the_demo_escapes_texts_and_labels(tmp_path):
    weights = {"encoder/block_000/layer_000/SyntheticAttention": np.full((2, 3, 3), 1 / 3)}
    seconds = {"seconds": 1.0, "losses": [{"step": 1, "loss": 2.0}]}
    found = {"task": EVIL, "asked": EVIL, "value": 1.0, "baseline": 2.0, "holds": False}
    results = {
        "settings": {"pretrain_steps": EVIL, "finetune_steps": 1, "seed": 0},
        "models": {
            EVIL: {
                "pretrain": seconds,
                "finetune": seconds,
                "pretrain_evaluation": seconds,
                "evaluation": seconds,
                "attention": {"alphas": {}, "movement": {}},
            }
        },
        "seconds_of_all_steps": 60,
        "findings": {EVIL: [found]},
        "baselines": {"examples": {EVIL: 5}, "unigram_entropy_free_sentinels": 2.0},
        "submission": {"of": EVIL, "replaced": {EVIL: {EVIL: 1}}},
    }
    samples = [{"source": EVIL, "target": EVIL, "outputs": {EVIL: EVIL}}]
    write(tmp_path / "index.html", results, {"V": weights}, samples)
    html = (tmp_path / "index.html").read_text("utf-8")
    assert not TAG.search(html)
    assert html.count("&lt;script&gt;") > 10
