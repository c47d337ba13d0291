"""The command `cache`: its options and its run."""

import argparse
import shlex

from mtf_synthesizer.cli.options import add_data, add_modules, add_verbose, modules, positive
from mtf_synthesizer.config import request
from mtf_synthesizer.runtime import loading

EXAMPLE = (
    "mtf_synthesizer cache --task c4_v220_span_corruption --tfds_data_dir data \\\n"
    "    --output_cache_dir caches\n"
    "  mtf_synthesizer cache --task c4_v220_span_corruption --tfds_data_dir gs://me/data \\\n"
    '    --output_cache_dir gs://me/caches --pipeline_options="--runner=DataflowRunner ..."'
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of `cache`."""
    add = command.add_argument
    add(
        "--task",
        action="append",
        required=True,
        help="seqio task or mixture; may be given several times",
    )
    add(
        "--output_cache_dir",
        required=True,
        metavar="DIR",
        help="folder to write to, which train takes as --additional_task_cache_dirs",
    )
    add(
        "--min_shards",
        type=positive,
        default=64,
        help="files of each split, at least: the more, the better they are mixed in training "
        "(default: %(default)s)",
    )
    add(
        "--pipeline_options",
        type=shlex.split,
        default=[],
        metavar="OPTIONS",
        help='Beam\'s own, as in --pipeline_options="--runner=FlinkRunner ..." (docs/caching.md; '
        "default: this process does it all)",
    )
    add("--overwrite", action="store_true", help="replace caches that are there")
    add_data(command)
    add_modules(command)
    add_verbose(command)


def run(args: argparse.Namespace) -> None:
    """Write caches and print their contents.

    Raises:
      errors.UserError: Beam, a task, file or folder is missing, or a cache exists.
    """
    wanted = request.for_caching(modules(args), args.vocabulary, args.tfds_data_dir)
    loading.load_tensorflow(args.verbose)
    with loading.without_messages(not args.verbose):  # Beam warns of unused features
        from mtf_synthesizer.data import token_cache

    made = token_cache.make(
        args.task,
        args.output_cache_dir,
        wanted,
        pipeline_options=args.pipeline_options,
        min_shards=args.min_shards,
        overwrite=args.overwrite,
        verbose=args.verbose,
    )
    print("\n".join(token_cache.describe(folder) for folder in made))
