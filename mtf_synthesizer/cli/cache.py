"""The command `cache`: its options and its run."""

import argparse
import shlex

from mtf_synthesizer.cli import options
from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.cli.values import Several, positive
from mtf_synthesizer.config import request
from mtf_synthesizer.runtime import loading

EXAMPLE = (
    "mtf_synthesizer cache --task c4_v220_span_corruption --tfds_data_dir data \\\n"
    "    --output caches\n"
    "  mtf_synthesizer cache --task c4_v220_span_corruption --tfds_data_dir gs://me/data \\\n"
    '    --output gs://me/caches --pipeline_options="--runner=DataflowRunner ..."'
)


def add_arguments(command: Parser) -> None:
    """Add the options of `cache`."""
    command.group("data").add_argument(
        "--task",
        action=Several,
        required=True,
        metavar="TASK,TASK",
        help="SeqIO tasks or mixtures.",
    )
    command.accept("--output_cache_dir", "--output")
    add = command.group("output").add_argument
    add(
        "--output",
        required=True,
        metavar="DIR",
        help="Folder to write: --additional_task_cache_dirs of `train`.",
    )
    add(
        "--min_shards",
        type=positive,
        default=64,
        metavar="N",
        help="Least number of files of each split. Training mixes the examples of many files "
        "better. Default: %(default)s.",
    )
    command.group("run").add_argument(
        "--pipeline_options",
        type=shlex.split,
        default=[],
        metavar="OPTIONS",
        help='Options of Apache Beam, for example "--runner=FlinkRunner ..." (docs/caching.md). '
        "Default: Beam runs in this process.",
    )
    options.add_overwrite(command, "existing caches")
    options.add_data(command)
    options.add_modules(command)
    options.add_verbose(command)


def run(args: argparse.Namespace) -> None:
    """Write caches and print their contents.

    Raises:
      errors.UserError: Beam, a task, file or folder is missing, or a cache exists.
    """
    configuration = request.for_caching(
        options.read_modules(args), args.vocabulary, args.tfds_data_dir
    )
    loading.load_tensorflow(args.verbose)
    with loading.without_messages(not args.verbose):  # Beam warns of unused features
        from mtf_synthesizer.data import token_cache

    cache_options = token_cache.CacheOptions(
        args.pipeline_options, args.min_shards, args.overwrite, args.verbose
    )
    folders = token_cache.make(args.task, args.output, configuration, cache_options)
    print("\n".join(token_cache.describe(folder) for folder in folders))
