"""`mtf_synthesizer t5`: T5's own entry point, with its own flags, on current TensorFlow.

The console script t5_mesh_transformer imports Mesh before anything of ours can run, so from
TensorFlow 2.13 on it can't start; and it does not know our gin files.
"""

import argparse
import ast
import sys
from collections.abc import Iterator, Sequence

from absl import app, flags

from mtf_synthesizer import bindings, configurables, names, quiet

# The modules that define the flags of t5_mesh_transformer.
_FLAG_MODULES = (
    "t5.models.mesh_transformer_main",
    "mesh_tensorflow.transformer.utils",
    "mesh_tensorflow.simd_mesh_impl",
)
_HELP = frozenset({"--help", "-help", "--helpshort"})


def run(arguments: Sequence[str]) -> None:
    """Checks what can be checked at once, then hands over to T5.

    Args:
      arguments: the command line after `t5`.

    Raises:
      names.UserError: an unknown flag, a missing file or a misspelt binding.
      SystemExit: when T5 is done.
    """
    _check(arguments)
    wants_help = bool(_HELP & set(arguments))
    # Its users expect its logs: they are how it shows losses and scores.
    quiet.load_tensorflow(verbose=not wants_help)
    import gin
    from t5.models import mesh_transformer_main

    # Before T5's tasks, so that they have the vocabulary that $MTF_SYNTHESIZER_VOCABULARY chooses.
    import mtf_synthesizer.tasks

    gin.add_config_file_search_path(str(names.gin_folder()))
    # T5 keeps the command line in the model directory, from where it should work again.
    sys.argv = ["mtf_synthesizer t5", *arguments]
    if wants_help:
        for module in _FLAG_MODULES:
            print(flags.FLAGS.module_help(module))
        return
    mesh_transformer_main.console_entry_point()


def known_flags() -> set[str]:
    """Names of every flag of t5_mesh_transformer, found without importing it."""
    app.define_help_flags()
    found = set(flags.FLAGS)
    for module in _FLAG_MODULES:
        found |= set(_defined_flags(module))
    return found


def _defined_flags(module: str) -> Iterator[str]:
    path = configurables.source_of(module)
    if path is None:
        raise names.UserError(f"{module} is not installed: pip install mtf_synthesizer")
    for node in ast.walk(ast.parse(path.read_bytes())):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr.startswith("DEFINE_")
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value)


def _check(arguments: Sequence[str]) -> None:
    known = known_flags()
    for argument in arguments:
        name = argument.lstrip("-").partition("=")[0]
        is_flag = argument.startswith("-") and not name[:1].isdigit() and name
        if is_flag and name not in known and name.removeprefix("no") not in known:
            raise names.UserError(f"unknown flag {argument!r}.{names.suggestion(name, known)}")
    given = _gin_flags(arguments)
    if not given.skip_all_gin_unknowns:
        prefixes = [part for prefix in given.gin_location_prefix for part in prefix.split(",")]
        skipped = [
            n for part in given.additional_deprecated_gin_references for n in part.split(",")
        ]
        with names.searched(prefixes):
            bindings.check(given.gin_file, given.gin_param, given.module_import, skipped)
    elsewhere = {argument.partition("=")[0] for argument in arguments} & (_HELP | {"--flagfile"})
    if not given.model_dir and not elsewhere:
        raise names.UserError(
            "no --model_dir given: T5 would write to a folder that all its runs share, and go on "
            "with whatever it finds there"
        )


def _gin_flags(arguments: Sequence[str]) -> argparse.Namespace:
    """The flags that say what the configuration is and where the model lies."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in (
        "gin_file",
        "gin_param",
        "gin_location_prefix",
        "module_import",
        "additional_deprecated_gin_references",
        "model_dir",
    ):
        parser.add_argument(f"--{name}", f"-{name}", action="append", default=[])
    for name in ("--skip_all_gin_unknowns", "-skip_all_gin_unknowns"):
        parser.add_argument(name, nargs="?", const="true", default="")
    known, _ = parser.parse_known_args(list(arguments))
    known.skip_all_gin_unknowns = known.skip_all_gin_unknowns.lower() in {"true", "t", "1", "yes"}
    return known
