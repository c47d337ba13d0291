"""The command `warm-start`: its options and its messages."""

from __future__ import annotations

import argparse
import contextlib
import io
import re
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mtf_synthesizer import errors
from mtf_synthesizer.cli.options import add_configuration, add_precision, modules, positive
from mtf_synthesizer.config import gin_files, request, statements
from mtf_synthesizer.config.trust import TrustedReader
from mtf_synthesizer.files import new_folder, paths
from mtf_synthesizer.model_folder import checkpoints
from mtf_synthesizer.model_folder.folder import ModelFolder, start_checkpoint
from mtf_synthesizer.runtime import loading, precision
from mtf_synthesizer.training.warm_start.plan import SHARE_OF_V

if TYPE_CHECKING:
    from mtf_synthesizer.training.warm_start.begin import Begun, Start
    from mtf_synthesizer.training.warm_start.huggingface import Start as OfTransformers

EXAMPLE = (
    "mtf_synthesizer warm-start --from t5_small/model.ckpt-1000000 --size small \\\n"
    "    --synthesizer rv --task synthesizer_verses_v001 --model_dir runs/rv_of_t5"
)
_BLOCK = re.compile(r"block_\d+|layer_\d+(?=/.*layer_\d+)")


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of `warm-start`."""
    add = command.add_argument
    add(
        "--from",
        dest="start",
        required=True,
        metavar="CHECKPOINT",
        help="a checkpoint of T5's or of this package, or a folder, of which the latest is taken; "
        "or a folder of transformers with a T5 model: config.json and model.safetensors",
    )
    add("--model_dir", required=True, help="new folder for the model")
    add(
        "--synthesizer",
        help=f"one of {' '.join(gin_files.known('synthesizers'))}; without it and --size the "
        "model is that of the checkpoint's folder",
    )
    add("--size", help=f"that of the checkpoint, one of {' '.join(gin_files.known('sizes'))}")
    add(
        "--alpha_v",
        type=_share,
        metavar="SHARE",
        help="α of V in a mixture at the start, between 0 and 1; the other terms have equal parts "
        f"of the rest (default: {SHARE_OF_V})",
    )
    add(
        "--max_length",
        type=positive,
        help="the length of the tables (default: the synthesizer's, or that of the checkpoint)",
    )
    add(
        "--task",
        help="seqio task or mixture that the model is for (default: that of the checkpoint's "
        "folder)",
    )
    add(
        "--run",
        help="whose lengths and optimizer the new folder has (default: pretrain; without "
        "--synthesizer and --size those of the checkpoint's folder)",
    )
    add("--seed", type=int, default=0, help="of initial values (default: %(default)s)")
    add_precision(command)
    add_configuration(command)


def _share(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < float(text) < 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no number between 0 and 1")


def run(args: argparse.Namespace) -> None:
    """Write the model and print the sources of its variables.

    Raises:
      errors.UserError: a name or file is unknown, the checkpoint is missing, or the new folder is
        not empty.
    """
    if args.synthesizer is not None:
        errors.check("synthesizer", args.synthesizer, gin_files.known("synthesizers"))
    new_folder.check("--model_dir", args.model_dir)
    start = _read_start(args.start)
    wanted = _wanted(args, start)
    precision.choose_for_command(args.matmul_precision)
    loading.load_tensorflow(args.verbose)
    from mtf_synthesizer.training.warm_start.begin import begin

    begun = begin(
        args.model_dir,
        start,
        wanted,
        share=args.alpha_v,
        chooses_vocabulary=_vocabulary(args, start) is not None,
        seed=args.seed,
        verbose=args.verbose,
    )
    print(described(args.model_dir, begun))


def _read_start(path: str) -> Start:
    from mtf_synthesizer.training.warm_start import huggingface

    if huggingface.is_model(path):
        return huggingface.Start.of(path)
    return start_checkpoint(path)


def _vocabulary(args: argparse.Namespace, start: Start) -> str | None:
    """The requested vocabulary, else the tokenizer beside a model of transformers."""
    of_folder = None if isinstance(start, checkpoints.Checkpoint) else start.vocabulary
    return args.vocabulary or of_folder


def _wanted(args: argparse.Namespace, start: Start) -> request.Configuration:
    """The configuration of the new model.

    Raises:
      errors.UserError: an argument is misspelt, or neither flags nor files define the model.
    """
    if not isinstance(start, checkpoints.Checkpoint):
        return _of_transformers(args, start)
    folder = paths.of(start.path).parent
    is_described = (folder / checkpoints.OPERATIVE_CONFIG).is_file()
    if is_described:
        TrustedReader(modules(args)).check([str(folder / checkpoints.OPERATIVE_CONFIG)])
    task = args.task or (_task_of(folder) if is_described else None)
    if task is None:
        raise errors.UserError(
            f"{args.start} names no task of its own: give with --task what the model is for"
        )
    if not (args.synthesizer or args.size or is_described):
        raise errors.UserError(
            f"no {checkpoints.OPERATIVE_CONFIG} beside {start.path} says what it is: give "
            "--synthesizer and --size"
        )
    if args.synthesizer or args.size or args.run:
        return request.requested(_request(args, task, start))
    changes = request.Request(
        gin_files=args.gin_file,
        gin_params=[f"MIXTURE_NAME = {task!r}", *_params(args)],
        modules=modules(args),
        vocabulary=args.vocabulary,
        tfds_data_dir=args.tfds_data_dir,
    )
    return request.for_model(ModelFolder(folder), changes, [request.EXACT_FILE])


def _of_transformers(args: argparse.Namespace, start: OfTransformers) -> request.Configuration:
    """The configuration of a model whose size is in config.json.

    Raises:
      UserError: --size is given, or --task is missing.
    """
    if args.size is not None:
        raise errors.UserError(
            f"--size {args.size}: the size of {args.start} stands in its config.json. Leave --size "
            "out."
        )
    if args.task is None:
        raise errors.UserError(
            f"--from {args.start}: no task is named there. Give with --task what the model is for."
        )
    # A request without a synthesizer needs a gin file; here the layers are T5's own.
    files = [] if args.synthesizer else [request.EXACT_FILE]
    return request.requested(
        request.Request(
            task=args.task,
            synthesizer=args.synthesizer,
            size="base",
            run=args.run,
            gin_files=[*files, *args.gin_file],
            gin_params=[*start.bindings, *_buckets(args, start), *_params(args)],
            modules=modules(args),
            vocabulary=_vocabulary(args, start),
            tfds_data_dir=args.tfds_data_dir,
        )
    )


def _buckets(args: argparse.Namespace, start: OfTransformers) -> list[str]:
    if args.synthesizer is None:
        return []
    count = start.architecture.buckets
    return [f"SyntheticAttention.relative_attention_num_buckets = {count}"]


def _request(args: argparse.Namespace, task: str, start: checkpoints.Checkpoint) -> request.Request:
    return request.Request(
        task=task,
        synthesizer=args.synthesizer,
        size=args.size,
        run=args.run,
        gin_files=args.gin_file,
        gin_params=_params(args),
        modules=modules(args),
        init_checkpoint=start.path,
        vocabulary=args.vocabulary,
        tfds_data_dir=args.tfds_data_dir,
    )


def _params(args: argparse.Namespace) -> list[str]:
    length = [] if args.max_length is None else [f"max_length = {args.max_length}"]
    return [*args.gin_param, *length]


def _task_of(folder: paths.Path) -> str | None:
    """The task that the configuration of a model names."""
    task = statements.macro("MIXTURE_NAME", [str(folder / checkpoints.OPERATIVE_CONFIG)], [])
    return task if isinstance(task, str) else None


def described(model_dir: str, begun: Begun) -> str:
    """A table of loaded, changed, new and dropped variables, and the next step."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"{begun.start.path} -> {model_dir}, step {begun.start.step}",
        title_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
    )
    for column in ("variable", "from", "what"):
        table.add_column(column, overflow="fold")
    for column in ("variables", "numbers"):
        table.add_column(column, justify="right")
    for (name, source, what), (count, size) in _lines(begun):
        table.add_row(name, source, what, f"{count:,}", f"{size:,}")
    stream = io.StringIO()
    Console(file=stream, width=170, highlight=False).print(table)
    text = "\n".join(line.rstrip() for line in stream.getvalue().splitlines())
    return f"{text}\n{_notes(model_dir, begun)}"


def _lines(begun: Begun) -> Iterator[tuple[tuple[str, str, str], tuple[int, int]]]:
    """Lines of the table; a variable of all blocks takes one line."""
    counts: Counter[tuple[str, str, str]] = Counter()
    sizes: Counter[tuple[str, str, str]] = Counter()
    for name, source, what, size in _rows(begun):
        key = (_BLOCK.sub("*", name), _BLOCK.sub("*", source), what)
        counts[key] += 1
        sizes[key] += size
    return ((key, (counts[key], sizes[key])) for key in counts)


def _rows(begun: Begun) -> Iterator[tuple[str, str, str, int]]:
    for entry in begun.plan.entries:
        source = entry.source or ""
        yield entry.name, "" if source == entry.name else source, entry.what, _size(entry.shape)
    for name, shape in begun.plan.dropped.items():
        yield "", name, "dropped", _size(shape)


def _size(shape: tuple[int, ...]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def _notes(model_dir: str, begun: Begun) -> str:
    vocabulary = begun.vocabulary or (
        "not known: give it with --vocabulary when the model is used, unless it is T5's"
    )
    return (
        "what the optimizer kept is left out, its new variables are zero\n"
        f"vocabulary: {vocabulary}\n"
        f"the step goes on from {begun.start.step}, as in T5's fine-tuning: with --init_checkpoint "
        f"{model_dir} --steps are counted from it, in {model_dir} itself from 0"
    )
