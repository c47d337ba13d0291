"""Gin files of model folders run nothing; those of users, packages and models stay readable."""

import pathlib
import re
import sys

import gin
import pytest
import strangers

from mtf_synthesizer import errors
from mtf_synthesizer.config import gin_files
from mtf_synthesizer.config.trust import TrustedReader
from mtf_synthesizer.upstream import gin_reader

TASKS = ("mtf_synthesizer.tasks",)
GOLDEN = strangers.MODEL.parent
# As T5's published models have them: bindings that T5 knows no more, and modules that are gone.
PUBLISHED = """import mesh_tensorflow.optimize
import mesh_tensorflow.transformer.t2t_vocabulary
import t5.data.sentencepiece_vocabulary
import t5.models.mesh_transformer
import seqio
d_model = 512
denoise.noise_mask_fn = @preprocessors.random_spans_noise_mask
get_sentencepiece_model_path.mixture_or_task_name = %MIXTURE_NAME
maybe_print_dataset.should_print = False
run.mesh_shape = @mesh_tensorflow.transformer.utils.tpu_mesh_shape()
run.optimizer = @optimize.AdafactorOptimizer
run.vocabulary = @t5.data.sentencepiece_vocabulary.SentencePieceVocabulary()
SentencePieceVocabulary.extra_ids = 100
split_tokens.max_tokens_per_segment = @preprocessors.random_spans_tokens_length()
"""


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    gin.clear_config()


def refused(message, files=(strangers.CONFIG,), params=(), modules=TASKS):
    with pytest.raises(errors.UserError, match=re.escape(message)) as error:
        TrustedReader(modules).check(files, params)
    return str(error.value)


@pytest.mark.parametrize("name", strangers.WAYS)
def test_a_model_folder_runs_nothing(place, name):
    way = strangers.WAYS[name]
    strangers.prepare(place, way)
    assert refused(way.said).startswith(way.line)
    # A user's own file, or a binding, that includes it does not vouch for it.
    (place / "mine.gin").write_text(f"include '{strangers.CONFIG}'\n", "utf-8")
    refused(way.said, ["mine.gin"])
    refused(way.said, [], [f"include '{strangers.CONFIG}'"])
    assert not (place / strangers.MARKER).exists()


# The other way would first import what the packages' files name, and so load TensorFlow.
@pytest.mark.parametrize("name", [name for name, way in strangers.WAYS.items() if not way.alone])
def test_gin_parses_nothing_that_was_not_checked(place, monkeypatch, name):
    """Where a file changes between the check and gin's parser, the parser's reader refuses it."""
    way = strangers.WAYS[name]
    strangers.prepare(place, way)
    monkeypatch.setattr(gin.config, "_LOCATION_PREFIXES", ["", str(gin_files.gin_folder())])
    reader = TrustedReader(TASKS)
    with gin_reader.checked(reader), pytest.raises((errors.UserError, OSError)):
        gin.parse_config_file(strangers.CONFIG, skip_unknown=True)
    assert not (place / strangers.MARKER).exists()


def test_gin_alone_would_run_it(place):
    files = {"beside.py": strangers.MODULE}
    strangers.prepare(place, strangers.Way("import beside\n", "", files=files, alone=True))
    try:
        gin.parse_config_file(strangers.CONFIG)
    finally:
        sys.modules.pop("beside", None)
    assert (place / strangers.MARKER).exists()


def test_modules_that_the_command_names(place):
    way = strangers.Way(
        "import mine.layers\nmine.layers.Own.size = 3\nx = @Own()\n",
        "imports mine.layers,",
        files={
            "mine/__init__.py": "",
            "mine/layers.py": "import gin\n@gin.configurable\nclass Own:\n"
            "  def __init__(self, size):\n    self.size = size\n",
        },
    )
    strangers.prepare(place, way)
    assert "--module_import mine.layers" in refused(way.said)
    refused(way.said, modules=(*TASKS, "mine.layers2"))
    for module in ("mine", "mine.layers"):
        TrustedReader((*TASKS, module)).check([strangers.CONFIG])


def test_another_module_does_not_vouch_for_a_selector(place):
    (place / "mine.py").write_text("import gin\n@gin.configurable\ndef own(a): pass\n", "utf-8")
    strangers.prepare(place, strangers.Way("own.a = 3\nowm.a = 3\n", ""))
    refused(f"{strangers.CONFIG}:1: a gin file of a model folder or URL configures own,")
    said = refused(f"{strangers.CONFIG}:2:", modules=(*TASKS, "mine"))
    assert "Did you mean 'own'?" in said and "--module_import MODULE" in said


def test_real_models_are_read(place):
    for folder in sorted(path for path in GOLDEN.iterdir() if path.is_dir()):
        TrustedReader(TASKS).check([str(folder / "operative_config.gin")])
    (place / "operative_config.gin").write_text(PUBLISHED, "utf-8")
    TrustedReader(()).check(["operative_config.gin"])


def test_files_of_the_folder_and_of_packages_may_be_included(place):
    text = "include 'runs/m/more/own.gin'\ninclude 'sizes/tiny.gin'\ninclude 'eval.gin'\n"
    own = {"runs/m/more/own.gin": "include 'runs/m/last.gin'\n", "runs/m/last.gin": "d_ff = 64\n"}
    strangers.prepare(place, strangers.Way(text, "", files=own))
    TrustedReader(TASKS).check([strangers.CONFIG])


def test_a_user_is_trusted_outside_of_model_folders(place):
    strangers.prepare(place, strangers.Way("", "", files={"mine.gin": strangers.DYNAMIC}))
    (place / "runs" / "m" / "theirs.gin").write_text("import os\n", "utf-8")
    (place / "alias.gin").symlink_to(place / "runs" / "m" / "theirs.gin")
    TrustedReader(TASKS).check(["mine.gin"], ["include 'mine.gin'"])
    refused("theirs.gin:1:", ["runs/m/theirs.gin"])
    refused("alias.gin:1:", ["alias.gin"])  # a link into the folder


def test_what_gin_skips_where_it_is_unknown(place):
    strangers.prepare(place, strangers.Way("gone.a = 3\nimport os\n", ""))
    refused(f"{strangers.CONFIG}:1:")
    for skipped in (["gone"], None):
        with pytest.raises(errors.UserError, match="imports os"):
            TrustedReader(TASKS, skipped).check([strangers.CONFIG])


def test_files_that_include_each_other_end(place):
    strangers.prepare(place, strangers.Way(f"include '{strangers.CONFIG}'\n", ""))
    TrustedReader(TASKS).check([pathlib.Path(strangers.CONFIG).as_posix()])
