"""The precision of products: what processors, flags and variables decide, and when."""

import os
import sys

import pytest

from mtf_synthesizer.cli import commands
from mtf_synthesizer.errors import UserError
from mtf_synthesizer.runtime import precision

FAST_MODE = ("ONEDNN_DEFAULT_FPMATH_MODE", "TF_SET_ONEDNN_FPMATH_MODE")
PROCESSORS = {
    "old": "fma avx2 avx512f",
    "bf16": "avx512f avx512_bf16 avx512_vnni",
    "amx": "avx512_bf16 amx_bf16 amx_tile amx_int8",
}


@pytest.fixture
def processor(monkeypatch, tmp_path):
    """A process without TensorFlow on a processor of `PROCESSORS`."""
    for name in (precision.VARIABLE, *FAST_MODE):
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)
    monkeypatch.setattr(precision, "_chosen", None)
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)

    def become(name):
        file = tmp_path / "cpuinfo"
        file.write_text(
            f"processor\t: 0\nflags\t\t: fpu {PROCESSORS[name]} sse\nbugs\t: amx_bf16\n"
        )
        monkeypatch.setattr(precision, "_PROCESSOR", file)

    return become


@pytest.mark.parametrize(
    ("name", "found", "auto", "casts"),
    [
        ("old", (), "float32", False),
        ("bf16", ("avx512_bf16",), "bfloat16", True),
        ("amx", ("amx_bf16", "avx512_bf16"), "bfloat16", False),
    ],
)
def test_auto(processor, name, found, auto, casts):
    processor(name)
    assert precision.instructions() == found
    assert precision.choose("auto") == precision.current() == auto
    assert precision.needs_casts() is casts
    assert os.environ[precision.VARIABLE] == auto
    modes = [os.environ.get(mode) for mode in FAST_MODE]
    assert modes == (["BF16", "BF16"] if auto == "bfloat16" else [None, None])


def test_no_processor_file(processor, monkeypatch, tmp_path):
    monkeypatch.setattr(precision, "_PROCESSOR", tmp_path / "none")
    assert precision.choose("auto") == "float32"


def test_float32_takes_the_mode_away(processor, monkeypatch):
    processor("amx")
    monkeypatch.setenv("ONEDNN_DEFAULT_FPMATH_MODE", "BF16")
    assert precision.choose("float32") == "float32"
    assert "ONEDNN_DEFAULT_FPMATH_MODE" not in os.environ
    assert not precision.needs_casts()


def test_bfloat16_without_the_instructions(processor):
    processor("old")
    with pytest.raises(UserError, match=r"--matmul_precision bfloat16: .*neither amx_bf16 nor"):
        precision.choose("bfloat16")
    assert precision.current() == "float32"


def test_unknown(processor):
    with pytest.raises(UserError, match=r"float16.*bfloat16"):
        precision.choose("float16")


def test_too_late(processor, monkeypatch):
    processor("amx")
    monkeypatch.setitem(sys.modules, "tensorflow", sys)
    with pytest.raises(UserError, match=rf"been loaded with float32.*{precision.VARIABLE}=bfloat"):
        precision.choose("bfloat16")
    assert precision.choose("auto") == precision.choose("float32") == "float32"
    assert not any(mode in os.environ for mode in FAST_MODE)


def test_loaded_with_bfloat16(processor, monkeypatch):
    processor("amx")
    precision.choose("bfloat16")
    monkeypatch.setitem(sys.modules, "tensorflow", sys)
    assert precision.choose("bfloat16") == precision.choose("auto") == "bfloat16"
    with pytest.raises(UserError, match="been loaded with bfloat16"):
        precision.choose("float32")


def test_environment(processor, monkeypatch):
    processor("bf16")
    precision.choose_from_environment()
    assert precision.current() == "float32"
    monkeypatch.setenv(precision.VARIABLE, "auto")
    precision.choose_from_environment()
    assert precision.current() == "bfloat16"
    monkeypatch.setenv(precision.VARIABLE, "float32")
    precision.choose_from_environment()  # what has been chosen stands
    assert precision.current() == "bfloat16"


def test_a_wrong_variable_is_named(processor, monkeypatch):
    monkeypatch.setenv(precision.VARIABLE, "half")
    with pytest.raises(UserError, match=precision.VARIABLE):
        precision.choose_from_environment()


@pytest.mark.parametrize(
    ("flag", "variable", "kept", "chosen"),
    [
        (None, None, None, "bfloat16"),
        (None, "float32", None, "float32"),
        ("bfloat16", "float32", None, "bfloat16"),
        (None, None, "float32", "float32"),
        ("auto", None, "float32", "float32"),
        ("bfloat16", None, "bfloat16", "bfloat16"),
    ],
)
def test_commands(processor, monkeypatch, flag, variable, kept, chosen):
    processor("bf16")
    if variable:
        monkeypatch.setenv(precision.VARIABLE, variable)
    assert precision.choose_for_command(flag, kept) == chosen
    precision.check_kept(kept)


@pytest.mark.parametrize(
    ("flag", "variable", "source"),
    [("float32", None, precision.FLAG), (None, "float32", precision.VARIABLE)],
)
def test_a_run_keeps_its_precision(processor, monkeypatch, flag, variable, source):
    processor("bf16")
    if variable:
        monkeypatch.setenv(precision.VARIABLE, variable)
    with pytest.raises(UserError, match=rf"^.?{source[1:]} float32: the run was begun in bfloat16"):
        precision.choose_for_command(flag, "bfloat16")


def test_a_run_on_a_processor_without_the_instructions(processor, capsys):
    processor("old")
    assert precision.choose_for_command(None, "bfloat16") == "float32"
    assert "resumed with float32" in capsys.readouterr().err
    precision.check_kept("bfloat16")
    with pytest.raises(UserError, match=r"neither amx_bf16"):
        precision.choose_for_command("bfloat16", "bfloat16")


def test_python_that_resumes(processor):
    processor("bf16")
    precision.check_kept("float32")
    with pytest.raises(UserError, match=rf"Set {precision.VARIABLE}=bfloat16 before"):
        precision.check_kept("bfloat16")


def test_commands_that_run_a_model_have_the_flag():
    (choices,) = (a.choices for a in commands.parser()._actions if isinstance(a.choices, dict))
    having = {name for name, command in choices.items() if precision.FLAG in command.format_help()}
    running = {"train", "compare", "demo", "evaluate", "predict", "maps", "warm-start", "bench"}
    running |= {"score", "env"}  # `env` reports what a command with this flag would do
    assert having == running
