"""The command `t5`: T5's own entry point, with its own flags, on current TensorFlow.

T5's console script t5_mesh_transformer can't start with TensorFlow 2.13 or later: it imports Mesh
before this package can adapt it. It does not find this package's gin files either.
"""

import argparse
import contextlib
import importlib
import sys
from collections.abc import Sequence

from absl import app, flags

from mtf_synthesizer import errors
from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.config import gin_files, statements
from mtf_synthesizer.config.lint import names
from mtf_synthesizer.config.trust import TrustedReader
from mtf_synthesizer.config.values import BoundValues
from mtf_synthesizer.files import paths
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.runtime import loading, signals

# The modules that define the flags of t5_mesh_transformer.
_FLAG_MODULES = (
    "t5.models.mesh_transformer_main",
    "mesh_tensorflow.transformer.utils",
    "mesh_tensorflow.simd_mesh_impl",
)
_TOPOLOGY = ("tpu_mesh_shape", "tpu_topology")
_SWITCHES = ("skip_all_gin_unknowns", "use_model_api")
_HELP = frozenset({"--help", "-help", "--helpshort"})


def run_t5(arguments: Sequence[str]) -> None:
    """Check flags and files, then run T5.

    Args:
      arguments: the command line after `t5`.

    Raises:
      errors.UserError: a flag is unknown, a file is missing, a binding is misspelt, or another run
        trains in the folder.
      SystemExit: T5 has finished.
    """
    parsed = _check(arguments)
    needs_lock = parsed.model_dir and trains(parsed)
    with ModelFolder.at(parsed.model_dir[-1]).lock() if needs_lock else contextlib.nullcontext():
        _hand_over(arguments, _is_verbose(parsed))


def trains(parsed: argparse.Namespace) -> bool:
    """Return whether T5 will train; a model may be evaluated while it trains."""
    if parsed.use_model_api:
        return parsed.mode[-1:] in (["train"], ["finetune"])
    with gin_files.searched(_split(parsed.gin_location_prefix)):
        mode = BoundValues(parsed.gin_file, parsed.gin_param).value("run", "mode")
    return mode in (None, "train")


def _is_verbose(parsed: argparse.Namespace) -> bool:
    """True if absl's own flag asks for all logs: --verbosity=0 (INFO) or more, or -v 0."""
    return parsed.verbosity[-1:] != [] and parsed.verbosity[-1].isdecimal()


def _hand_over(arguments: Sequence[str], verbose: bool) -> None:
    wants_help = bool(_HELP & set(arguments))
    loading.load_tensorflow(verbose and not wants_help)
    if not verbose:
        loading.log_results_only()
    import gin
    from t5.models import mesh_transformer_main

    # Imported before T5's tasks, so that they use the vocabulary of $MTF_SYNTHESIZER_VOCABULARY.
    import mtf_synthesizer.tasks
    from mtf_synthesizer.upstream import fast, gin_reader, old_selectors

    fast.install()
    old_selectors.register()
    gin.add_config_file_search_path(str(gin_files.gin_folder()))
    # T5 stores the command line in the model folder; users copy it from there to run it again.
    sys.argv = ["mtf_synthesizer t5", *arguments]
    if wants_help:
        for module in _FLAG_MODULES:
            print(flags.FLAGS.module_help(module))
        return
    gin_reader.install(_reader_of_flags())
    if not _flags_are_in_a_file(arguments):
        parsed, bound = _configured(arguments)
        _check_mesh(parsed, bound)
        _check_task(parsed, bound)
    mesh_transformer_main.console_entry_point()


def _reader_of_flags() -> TrustedReader:
    """Parse the command line before T5 does, because absl would end with its own exit status.

    Returns:
      The reader of gin files. It trusts --module_import, also of a --flagfile.

    Raises:
      errors.UserError: a flag is unknown, or its value is invalid.
    """
    app.define_help_flags()
    try:
        flags.FLAGS(sys.argv)
        skipped = flags.FLAGS.additional_deprecated_gin_references or ()
        return TrustedReader(
            flags.FLAGS.module_import or (),
            None if flags.FLAGS.skip_all_gin_unknowns else skipped,
        )
    except flags.Error as error:
        raise errors.UserError(f"t5: {error}") from error
    finally:
        flags.FLAGS.unparse_flags()


def _check(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the flags that the guards need, and check the configuration."""
    parsed = _gin_flags(arguments)
    with gin_files.searched(_split(parsed.gin_location_prefix)):
        files = [*parsed.gin_file, *_operative_configs(parsed)]
        skipped = _split(parsed.additional_deprecated_gin_references)
        unknown = None if parsed.skip_all_gin_unknowns else skipped
        TrustedReader(parsed.module_import, unknown).check(files, parsed.gin_param)
        if not parsed.skip_all_gin_unknowns:
            names.check(parsed.gin_file, parsed.gin_param, parsed.module_import, skipped)
    exempt = {argument.partition("=")[0] for argument in arguments} & (_HELP | {"--flagfile"})
    if not parsed.model_dir and not exempt:
        raise errors.UserError(
            "--model_dir is missing: T5 would write to a folder that all its runs share. Give a "
            "folder for this run"
        )
    return parsed


def _configured(arguments: Sequence[str]) -> tuple[argparse.Namespace, BoundValues]:
    """Return the flags, and the values that their gin files and bindings set."""
    parsed = _gin_flags(arguments)
    with gin_files.searched(_split(parsed.gin_location_prefix)):
        return parsed, BoundValues(parsed.gin_file, parsed.gin_param)


def _flags_are_in_a_file(arguments: Sequence[str]) -> bool:
    return any(word.startswith("--flagfile") for word in arguments)


def _check_task(parsed: argparse.Namespace, bound: BoundValues) -> None:
    """Raise a UserError, before T5 writes to the folder, if the task's name is misspelt."""
    from mtf_synthesizer.upstream import tasks

    task = bound.macro("MIXTURE_NAME")
    if isinstance(task, str):
        for module in parsed.module_import:  # T5 imports them a moment later
            importlib.import_module(module)
        tasks.check_task(task)


def _check_mesh(parsed: argparse.Namespace, bound: BoundValues) -> None:
    """Raise a UserError unless the configuration has a mesh, or T5's interface makes its own."""
    if parsed.use_model_api:
        return
    shape = bound.value("run", "mesh_shape")
    is_of_tpu = isinstance(shape, statements.Reference) and "tpu_mesh_shape" in shape.selector
    if is_of_tpu and not bound.statement(*_TOPOLOGY):
        raise errors.UserError(
            "no gin file or binding names the devices. Give --gin_file=local_cpu.gin "
            'for this machine, or for TPUs --gin_param="utils.tpu_mesh_shape.tpu_topology = '
            "'2x2'\""
        )


def _operative_configs(parsed: argparse.Namespace) -> list[str]:
    """Return the files of model folders that T5's Python interface reads by itself."""
    folders = [*parsed.model_dir[-1:], *parsed.pretrained_model_dir[-1:]]
    files = [paths.of(folder) / statements.OPERATIVE for folder in folders if folder]
    return [str(file) for file in files if parsed.use_model_api and file.is_file()]


def _split(values: Sequence[str]) -> list[str]:
    return [part for value in values for part in value.split(",")]


def _gin_flags(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the flags of configuration, mode and model folder."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in (
        "gin_file",
        "gin_param",
        "gin_location_prefix",
        "module_import",
        "additional_deprecated_gin_references",
        "model_dir",
        "pretrained_model_dir",
        "mode",
    ):
        parser.add_argument(f"--{name}", f"-{name}", action="append", default=[])
    parser.add_argument("--verbosity", "-verbosity", "--v", "-v", action="append", default=[])
    for name in _SWITCHES:
        parser.add_argument(f"--{name}", f"-{name}", nargs="?", const="true", default="")
    known, _ = parser.parse_known_args(list(arguments))
    for name in _SWITCHES:
        setattr(known, name, getattr(known, name).lower() in {"true", "t", "1", "yes"})
    return known


EXAMPLE = (
    "mtf_synthesizer t5 --model_dir=runs/r --module_import=mtf_synthesizer.tasks \\\n"
    "    --gin_file=sizes/tiny.gin --gin_file=synthesizers/r.gin --gin_file=runs/pretrain.gin \\\n"
    "    --gin_file=local_cpu.gin --gin_param=\"MIXTURE_NAME='synthesizer_verse_spans_v001'\""
)


def add_arguments(command: Parser) -> None:
    """Add nothing: the flags are T5's own."""


@signals.ends_the_process("ended by SIGTERM: the last checkpoint of T5 is kept")
def run(args: argparse.Namespace) -> None:
    """Pass the arguments after `t5` to T5 unchanged.

    Raises:
      errors.UserError: a flag is unknown, a file is missing, or a binding is misspelt.
      SystemExit: T5 has finished.
    """
    run_t5(args.arguments)
