"""The command line: mistakes are answered at once and help is instant, both without TensorFlow."""

import argparse
import importlib
import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest
from command_line import run_all

from mtf_synthesizer import errors
from mtf_synthesizer.cli import commands as arguments
from mtf_synthesizer.cli import main
from mtf_synthesizer.config import gin_files
from mtf_synthesizer.config.lint import configurables, names

TRAIN = ["train", "--model_dir", "unused", "--task", "unused"]
RV = [*TRAIN, "--size", "tiny", "--synthesizer", "rv"]

# What is typed -> what the one message on the error stream has in it.
MISTAKES = {
    "synthesizer": ([*TRAIN, "--size", "tiny", "--synthesizer", "vr"], ["'vr'", "Known:", "frv"]),
    "size": ([*TRAIN, "--synthesizer", "r", "--size", "tyny"], ["'tyny'", "'tiny'", "Known:"]),
    "run": ([*RV, "--run", "pretrian"], ["'pretrian'", "'pretrain'"]),
    "model": ([*TRAIN, "--size", "tiny"], ["--synthesizer is missing", "frv"]),
    "file": ([*RV, "--gin_file", "clip_gradient.gin"], ["not found", "'clip_gradients.gin'"]),
    "syntax": ([*RV, "--gin_param", "d_model = = 3"], ["d_model = = 3", "not valid gin"]),
    "macro": ([*RV, "--gin_param", "d_modle = 3"], ["'d_modle'", "'d_model'"]),
    "unset macro": ([*RV, "--gin_param", "run.batch_size = %batchsize"], ["%batchsize", "never"]),
    "our parameter": (
        [*RV, "--gin_param", "SyntheticAttention.num_head = 2"],
        ["SyntheticAttention", "'num_head'", "'num_heads'", "Parameters:", "key_value_size"],
    ),
    "mesh parameter": (
        [*RV, "--gin_param", "transformer_layers.DenseReluDense.hiden_size = 2"],
        ["'hiden_size'", "'hidden_size'"],
    ),
    "scoped parameter": (
        [*RV, "--gin_param", "decoder/Random.max_len = 2"],
        ["'max_len'", "'max_length'"],
    ),
    "configurable": ([*RV, "--gin_param", "Randm.max_length = 2"], ["'Randm'", "'Random'"]),
    "own function": (
        [*RV, "--gin_param", "Sum.functions = [@Mine()]"],
        ["'Mine'", "--module_import"],
    ),
    "word for a number": ([*RV, "--gin_param", "num_layers = 'four'"], ["above 0, not 'four'"]),
    "zero": ([*RV, "--gin_param", "d_model = 0"], ["d_model must be a whole number above 0"]),
    "negative": ([*RV, "--gin_param", "SyntheticAttention.num_heads = -1"], ["not -1"]),
    "rate": ([*RV, "--gin_param", "dropout_rate = 2.0"], ["a number in [0, 1), not 2.0"]),
    "batch": ([*RV, "--gin_param", "run.batch_size = ('tokens', 0)"], ['("tokens_per_batch"']),
    "switch": ([*RV, "--gin_param", "pack = 1"], ["True or False, not 1"]),
    "reference": ([*RV, "--gin_param", "Sum.functions = [@Rndom()]"], ["'Rndom'", "'Random'"]),
    "start": ([*TRAIN, "--init_checkpoint", "nowhere"], ["'nowhere'", "model.ckpt-1000"]),
    "model folder": (["evaluate", "--model_dir", "nowhere", "--task", "t"], ["nowhere", "train"]),
    "t5 without a folder": (["t5", "--gin_file=sizes/tiny.gin"], ["--model_dir"]),
    "t5 file": (["t5", "--gin_file=sizes/tinny.gin"], ["'sizes/tinny.gin'", "'sizes/tiny.gin'"]),
    "t5 parameter": (
        ["t5", "--gin_file=models/bi_v1.gin", "--gin_param", "Bitransformer.shared_emb = 1"],
        ["'shared_emb'", "'shared_embedding'"],
    ),
}


# Runs the commands of its input in one process; prints what each did.
@pytest.fixture(scope="module")
def mistakes():
    return run_all({name: command for name, (command, _) in MISTAKES.items()})


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_answered_without_tensorflow(mistakes, name):
    status, out, err, loaded = mistakes[name]
    assert status == 2
    assert not out
    assert len(err.strip().splitlines()) == 1
    for expected in MISTAKES[name][1]:
        assert expected in err
    assert not loaded


# What is typed -> the suggestion, after the usage that argparse shows.
MISSPELT = {
    "option": (["train", "--stpes", "3"], "unknown option --stpes. Did you mean '--steps'"),
    "option with its value": (["data", "list", "--verbse=1"], "unknown option --verbse."),
    "option of data": (["data", "prepare", "--form", "x"], "Did you mean '--from'?"),
    "command": (["trian"], "Did you mean 'train'?"),
    "choice": (["list", "sizs"], "Did you mean 'sizes'"),
}


@pytest.fixture(scope="module")
def misspelt():
    return run_all({name: command for name, (command, _) in MISSPELT.items()})


@pytest.mark.parametrize("name", MISSPELT)
def test_what_argparse_does_not_know_gets_a_suggestion(misspelt, name):
    status, _, err, loaded = misspelt[name]
    assert status == 2
    assert MISSPELT[name][1] in err
    assert not loaded


def test_values_and_shortened_options_are_no_mistakes():
    given = arguments.parser().parse_args([*TRAIN, "--gin_param", "--x = 3", "--step", "3"])
    assert (given.gin_param, given.steps) == (["--x = 3"], 3)


# Options whose value is a list, with what else their commands need -> two parts and their type.
LISTS = {
    "--tasks": ("predict --model_dir m --benchmark glue --output o", ("CoLA", "RTE"), str),
    "--layers": ("maps --model_dir m --task t --output o", ("3", "1"), int),
    "bench --rows": ("bench", ("t5", "r"), str),
    "--sweep": ("bench", ("32", "16"), int),
    "--rows": ("compare --experiment imdb_small --output o", ("v", "r"), str),
    "--steps": ("checkpoints average --model_dir m --output o", ("3", "5"), int),
}


@pytest.mark.parametrize("option", LISTS)
def test_all_lists_are_read_alike(option, capsys):
    command, (first, second), kind = LISTS[option]
    flag = option.split()[-1]

    def parsed(text):
        given = arguments.parser().parse_args([*command.split(), flag, text])
        return getattr(given, flag.removeprefix("--"))

    assert parsed(f"{first}, {second},,{first} ") == [kind(first), kind(second)]
    with pytest.raises(SystemExit):
        parsed(" , ")
    assert f"argument {flag}: ' , ' is empty" in capsys.readouterr().err


def test_a_users_own_functions_may_take_any_values(tmp_path, monkeypatch):
    text = "import gin\n@gin.configurable\ndef mine(rank, num_heads): pass\n"
    (tmp_path / "users_values.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    names.check([], ["mine.rank = 'first'", "mine.num_heads = None"], ["users_values"])


def test_a_macro_that_an_experiment_sets_may_be_of_no_use_to_a_row():
    files = ["experiments/imdb_small.gin"]
    for row in ("synthesizers/r.gin", "baselines/lightconv.gin"):
        names.check([row, *files], ["max_length = 16"])
    with pytest.raises(errors.UserError, match="Did you mean 'max_length'"):
        names.check(["baselines/lightconv.gin", *files], ["max_lenght = 16"])


def test_a_gin_file_that_is_no_text(tmp_path):
    (tmp_path / "x.gin").write_bytes(b"d_model = 3 # \xff")
    with pytest.raises(errors.UserError, match=r"x\.gin: not UTF-8"):
        names.check([str(tmp_path / "x.gin")], [])


def test_baselines_stand_beside_synthesizers(helps):
    synthesizers, baselines = helps["beside"][1].split("\n\n")
    assert re.match(r"synthesizers:\n  banded +Banded R", synthesizers)
    assert re.search(r"\n  bias +Control: T5's .*\n  d  ", synthesizers)
    assert "\n  lightconv" in baselines


COMMANDS = [name for name in arguments.COMMANDS if name != "t5"]  # whose help is T5's own


@pytest.fixture(scope="module")
def helps():
    commands = {name: [name, "--help"] for name in COMMANDS}
    return run_all(
        {
            **commands,
            "": ["--help"],
            "all": ["list"],
            "path": ["gin-path"],
            "beside": ["list", "synthesizers"],
        }
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_and_loads_nothing(helps, name):
    status, out, _, loaded = helps[name]
    assert status == 0
    assert "example:" in out
    assert not loaded


def test_help_understoodevery_command(helps):
    for name in [*COMMANDS, "t5"]:
        assert re.search(rf"^  {name}\s", helps[""][1], re.MULTILINE)


def test_lists_and_path(helps):
    assert "frv" in helps["all"][1]
    assert "tiny_lm" in helps["all"][1]
    assert (pathlib.Path(helps["path"][1].strip()) / "synthesizers" / "rv.gin").is_file()


def test_help_is_instant():
    """Under a second of processor time; it takes 0.2."""
    began = os.times()
    command = "from mtf_synthesizer.cli.main import main; main(['--help'])"
    subprocess.run([sys.executable, "-c", command], check=True, capture_output=True)
    ended = os.times()
    used = ended.children_user + ended.children_system
    assert used - began.children_user - began.children_system < 1


def parsers(parser):
    """A parser and those of all its sub-commands, and of theirs."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from parsers(each)


def options(parser):
    """Every option and argument, but not --help, --version and sub-commands."""
    others = (argparse._HelpAction, argparse._VersionAction, argparse._SubParsersAction)
    for command in parsers(parser):
        yield from ((command, each) for each in command._actions if not isinstance(each, others))


def test_help_is_whole_sentences_with_defaults():
    """Help of an optional value also names the default, or when the value is needed."""
    faults = []
    for command, action in options(arguments.parser()):
        flag = f"{command.prog} {'/'.join(action.option_strings) or action.dest}"
        alternatives = any(action in g._group_actions for g in command._mutually_exclusive_groups)
        optional = not action.required and action.nargs != 0 and not alternatives
        if not re.fullmatch(r"[A-Z].*\.", action.help or "", re.DOTALL):
            faults.append(f"{flag}: not a sentence: {action.help!r}")
        elif optional and not re.search(r"Default|Needed|several times", action.help):
            faults.append(f"{flag}: no default: {action.help!r}")
    assert faults == []


def test_options_are_sorted_into_groups():
    for command in parsers(arguments.parser()):
        ungrouped = [a.option_strings for a in command._optionals._group_actions]
        assert ungrouped in ([["-h", "--help"]], [["-h", "--help"], ["--version"]])


def test_examples_name_what_exists():
    for example in (each.epilog for each in parsers(arguments.parser())):
        for file in re.findall(r"gin_file=(\S+\.gin)", example):
            assert gin_files.find_gin_file(file)
        for flag, folder in (("synthesizer", "synthesizers"), ("size", "sizes"), ("run", "runs")):
            for name in re.findall(rf"--{flag} ([a-z]\S*)", example):
                assert name in gin_files.known(folder) or (flag, name) == ("size", "small")


def test_examples_are_understood():
    parser, understood = arguments.parser(), []
    for line in "\n".join(each.epilog for each in parsers(parser)).replace("\\\n", "").splitlines():
        words = shlex.split(line)
        if words[:1] == ["mtf_synthesizer"] and words[1] != "t5":  # whose flags are T5's own
            understood.append(parser.parse_args(words[1:]).command)
    assert understood.count("checkpoints") == 4  # one of each of its sub-commands, and its own
    assert {*understood} == {*COMMANDS} - {"gin-path"}  # which helps another program


@pytest.mark.slow
def test_a_misspelt_flag_of_t5_is_reported_before_a_run_begins(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mtf_synthesizer", "t5", "--model_dir=new", "--gin_fil=x"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "Unknown command line flag 'gin_fil'. Did you mean: gin_file ?" in done.stderr
    assert "Traceback" not in done.stderr
    assert not [*tmp_path.iterdir()]


def test_configurables_are_what_gin_registers():
    import mtf_synthesizer.runtime.compat

    import gin
    import mesh_tensorflow.transformer.utils  # noqa: F401

    package = pathlib.Path(errors.__file__).parent
    for file in package.rglob("*.py"):
        if "@gin.configurable" in file.read_text("utf-8"):
            names_of = file.relative_to(package.parent).with_suffix("").parts
            importlib.import_module(".".join(names_of))
    for found in configurables.scan(["mtf_synthesizer", "mesh_tensorflow.optimize"]):
        assert gin.get_configurable(found.selector)
    methods = configurables.scan(["mesh_tensorflow.transformer.transformer"])
    assert "Bitransformer.decode" in {found.selector for found in methods}
    assert all(gin.get_configurable(found.selector) for found in methods)
    selectors = {found.selector for found in configurables.scan(["mtf_synthesizer"])}
    assert "mtf_synthesizer.Random" in selectors
    assert "mtf_synthesizer.Mixture" in selectors


def test_parameters_are_read_from_the_source():
    found = {c.name: c for c in configurables.scan(["mesh_tensorflow.transformer"])}
    assert {"num_heads", "key_value_size"} <= found["SelfAttention"].parameters
    assert "self" not in found["SelfAttention"].parameters
    assert found["EncDecAttention"].parameters is None  # it takes any by **kwargs


def test_a_module_of_the_users_may_define_what_is_unknown(tmp_path, monkeypatch):
    (tmp_path / "users_own.py").write_text("import gin\n@gin.configurable\ndef mine(a): pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    names.check([], ["mine.a = 3"], ["users_own"])
    names.check([], ["theirs.a = 3"], ["not_to_be_found"])
    with pytest.raises(errors.UserError, match="'b'"):
        names.check([], ["mine.b = 3"], ["users_own"])
    with pytest.raises(errors.UserError, match="unknown configurable 'mine'"):
        names.check([], ["mine.a = 3"])


def test_a_change_that_a_runs_scopes_hide_is_refused(tmp_path):
    run = tmp_path / "operative_config.gin"
    run.write_text("encoder/Random.max_length = 7\ndecoder/Random.max_length = 7\n")
    names.check([str(run)], ["encoder/Random.max_length = 9"])
    with pytest.raises(errors.UserError, match=r"decoder/Random\.max_length and encoder/"):
        names.check([str(run)], ["Random.max_length = 9"])


@pytest.mark.parametrize(("backend", "is_kept"), [("absent_inline.backend", False), ("json", True)])
def test_a_backend_of_a_notebook_that_this_environment_lacks(backend, is_kept, monkeypatch):
    """A notebook's commands inherit its MPLBACKEND; without its module matplotlib can't load."""
    monkeypatch.setenv("MPLBACKEND", f"module://{backend}")
    assert main.main(["list", "synthesizers"]) == 0
    assert ("MPLBACKEND" in os.environ) is is_kept
