"""The command `warm-start`: its options and its run."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mtf_synthesizer import errors
from mtf_synthesizer.cli import options
from mtf_synthesizer.cli.own_data import add_own_data, read_own_data
from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.cli.values import positive, proper_share
from mtf_synthesizer.cli.warm_start_table import describe
from mtf_synthesizer.config import gin_files, request, statements
from mtf_synthesizer.config.trust import TrustedReader
from mtf_synthesizer.config.values import BoundValues
from mtf_synthesizer.files import new_folder, paths
from mtf_synthesizer.model_folder import checkpoints, own_data
from mtf_synthesizer.model_folder.folder import ModelFolder, start_checkpoint
from mtf_synthesizer.model_folder.own_data import OwnData
from mtf_synthesizer.runtime import loading, precision
from mtf_synthesizer.training.own_data import measured
from mtf_synthesizer.training.warm_start.plan import SHARE_OF_V

if TYPE_CHECKING:
    from mtf_synthesizer.training.warm_start.begin import Begun, Start
    from mtf_synthesizer.training.warm_start.fit import Fitted
    from mtf_synthesizer.training.warm_start.huggingface import Start as TransformersStart

EXAMPLE = (
    "mtf_synthesizer warm-start --init_checkpoint t5_small/model.ckpt-1000000 --size small \\\n"
    "    --synthesizer rv --task synthesizer_verses_v001 --model_dir runs/rv_of_t5"
)


def add_arguments(command: Parser) -> None:
    """Add the options of `warm-start`."""
    add = command.group("model").add_argument
    options.add_start(
        command,
        "Checkpoint of T5 or of this package, a folder with checkpoints (the latest is "
        "loaded), or a transformers folder with config.json and model.safetensors of a T5 model.",
        required=True,
    )
    command.accept("--output", "--model_dir")
    options.add_new_model(command, "New folder for the model.")
    default = "Default: the value in the configuration beside the checkpoint."
    options.add_synthesizer(command, ("synthesizers",), default)
    options.add_size(command, default)
    add(
        "--alpha_v",
        type=proper_share,
        metavar="SHARE",
        help="Initial α of V in a mixture, in (0, 1); the other terms share the rest equally. "
        f"Default: {SHARE_OF_V}.",
    )
    add(
        "--max_length",
        type=positive,
        metavar="N",
        help="Length of the synthesizer's tables. Default: the length of the synthesizer, or of "
        "the checkpoint.",
    )
    options.add_task(
        command, default="Default: the task in the configuration beside the checkpoint."
    )
    add_own_data(command)
    options.add_run(
        command,
        "Default: pretrain; without --synthesizer and --size the configuration beside the "
        "checkpoint.",
    )
    options.add_seed(command, "Seed of initial values.")
    add(
        "--prune_heads",
        action="store_true",
        help="Turn a trained R+V into heads of R and heads of V by the larger α, and print "
        "parameters, FLOPs and losses.",
    )
    add = command.group("data").add_argument
    add(
        "--fit",
        metavar="TASK",
        help="Fit r, fr, toeplitz, banded or d to the attention of the checkpoint on the train "
        "split of this task, and print divergences and losses. Default: initial values are not "
        "fitted.",
    )
    add(
        "--examples",
        type=positive,
        default=64,
        metavar="N",
        help="Number of examples of --fit, and of the losses of --prune_heads. Default: "
        "%(default)s.",
    )
    add(
        "--match_passes",
        type=positive,
        metavar="N",
        help="Train each fitted layer by itself to match the attention, for N passes over the "
        "examples of --fit. Default: the fit is not trained.",
    )
    options.add_format(command)
    options.add_precision(command)
    options.add_configuration(command)


def run(args: argparse.Namespace) -> None:
    """Write the model and print the sources of its variables.

    Raises:
      errors.UserError: a name or file is unknown, the checkpoint is missing, or the new folder is
        not empty.
    """
    if args.synthesizer is not None:
        errors.check("synthesizer", args.synthesizer, gin_files.known("synthesizers"))
    if args.match_passes and not args.fit:
        raise errors.UserError(
            f"--match_passes {args.match_passes}: no fit to train. Give --fit TASK, or leave "
            "--match_passes out"
        )
    new_folder.check("--model_dir", args.model_dir)
    start = _read_start(args.init_checkpoint)
    if args.prune_heads:
        _prune(args, start)
        return
    args.synthesizer = options.read_synthesizer(args)
    # Counting the tokens of --data may load a vocabulary with TensorFlow.
    precision.choose_for_command(args.matmul_precision)
    configuration = _configuration(args, start)
    teacher = _teacher(args, start) if args.fit else None
    loading.load_tensorflow(args.verbose)
    from mtf_synthesizer.training.warm_start.begin import BeginOptions, begin

    begin_options = BeginOptions(
        share=args.alpha_v,
        chooses_vocabulary=_vocabulary(args, start) is not None,
        seed=args.seed,
        verbose=args.verbose,
    )

    def write(
        folder: str | paths.Path,
        configuration: request.Configuration,
        fitted: Mapping[str, Fitted] | None = None,
    ) -> Begun:
        return begin(folder, start, configuration, begin_options, fitted=fitted)

    if teacher is None:
        _print(args, write(args.model_dir, configuration))
        return
    from mtf_synthesizer.studies.conversion import fitted
    from mtf_synthesizer.training.warm_start.fit import FitRequest

    asked = FitRequest(args.fit, args.examples, args.match_passes or 0, args.seed)
    report = fitted.convert(args.model_dir, start, configuration, teacher, asked, write)
    _print(args, report.begun, fitted.described(report, asked), fitted.values(report))


def _teacher(args: argparse.Namespace, start: Start) -> request.Configuration:
    """Return the configuration of the other model with V in this package's layer.

    Raises:
      errors.UserError: no synthesizer is chosen, or --alpha_v is given.
    """
    if args.synthesizer is None:
        raise errors.UserError(
            f"--fit {args.fit}: no function to fit is named. Give --synthesizer r, fr, toeplitz, "
            "banded or d"
        )
    if args.alpha_v is not None:
        raise errors.UserError(
            f"--alpha_v {args.alpha_v}: --fit does not fit mixtures. Leave one of them out"
        )
    files = ["cross/v.gin" if file.startswith("cross/") else file for file in args.gin_file]
    changes = {"synthesizer": "v", "gin_file": files}
    return _configuration(argparse.Namespace(**(vars(args) | changes)), start)


# Options that choose a model, which --prune_heads has already.
_NOT_OF_PRUNED = (
    "synthesizer",
    "synthesizer_layers",
    "size",
    "run",
    "fit",
    "match_passes",
    "alpha_v",
    "max_length",
)


def _prune(args: argparse.Namespace, start: Start) -> None:
    """Write and print the pruned model.

    Raises:
      errors.UserError: --init_checkpoint is not a folder of this package, or other flags choose
        a model.
    """
    flags = [f"--{name}" for name in _NOT_OF_PRUNED if getattr(args, name) is not None]
    if flags:
        raise errors.UserError(
            f"{flags[0]}: --prune_heads keeps all of the model but its heads. Leave {flags[0]} out"
        )
    folder = paths.of(str(getattr(start, "path", args.init_checkpoint))).parent
    if (
        not isinstance(start, checkpoints.Checkpoint)
        or not (folder / checkpoints.OPERATIVE_CONFIG).is_file()
    ):
        raise errors.UserError(
            f"--init_checkpoint {args.init_checkpoint}: no {checkpoints.OPERATIVE_CONFIG} "
            "beside the checkpoint. Give the folder of a trained R+V"
        )
    asked = dataclasses.replace(options.read_request(args), task=args.task or _task_of(folder))
    request.named_task(ModelFolder(folder), asked)
    request.for_model(ModelFolder(folder), asked)
    precision.choose_for_command(args.matmul_precision)
    loading.load_tensorflow(args.verbose)
    from mtf_synthesizer.studies.conversion import pruned

    report = pruned.convert(args.model_dir, start, asked, args.examples)
    _print(args, report.begun, pruned.described(report), pruned.values(report))


def _print(
    args: argparse.Namespace,
    begun: Begun,
    text: str = "",
    measured: Mapping[str, Any] | None = None,
) -> None:
    """Print the table of variables and what was measured besides, or both as JSON."""
    from mtf_synthesizer.training.warm_start.begin import summary

    table = "\n".join(part for part in (describe(args.model_dir, begun), text) if part)
    options.print_result(args, table, {**summary(begun), **(measured or {})})


def _read_start(path: str) -> Start:
    from mtf_synthesizer.training.warm_start import huggingface

    if huggingface.is_model(path):
        return huggingface.Start.of(path)
    return start_checkpoint(path)


def _vocabulary(args: argparse.Namespace, start: Start) -> str | None:
    """Return --vocabulary, else the tokenizer of a transformers folder."""
    if args.vocabulary or isinstance(start, checkpoints.Checkpoint):
        return args.vocabulary
    return start.vocabulary


def _configuration(args: argparse.Namespace, start: Start) -> request.Configuration:
    """Return the configuration of the new model.

    Raises:
      errors.UserError: an argument is misspelt, or neither flags nor files define the model.
    """
    data = _own_data(args, start)
    if not isinstance(start, checkpoints.Checkpoint):
        return _transformers_configuration(args, start, data)
    folder = paths.of(start.path).parent
    is_described = (folder / checkpoints.OPERATIVE_CONFIG).is_file()
    if is_described:
        TrustedReader(options.read_modules(args)).check(
            [str(folder / checkpoints.OPERATIVE_CONFIG)]
        )
    task = own_data.TASK if data else args.task or (_task_of(folder) if is_described else None)
    if task is None:
        raise errors.UserError(
            f"--init_checkpoint {args.init_checkpoint}: the checkpoint has no task. Give the "
            "task of the model with --task or --data"
        )
    if not (args.synthesizer or args.size or is_described):
        raise errors.UserError(
            f"--init_checkpoint {start.path}: no {checkpoints.OPERATIVE_CONFIG} beside the "
            "checkpoint describes its model. Give --synthesizer and --size"
        )
    if is_described and args.synthesizer and not args.size:
        return _of_described(args, task, ModelFolder(folder))
    if args.synthesizer or args.size or args.run:
        return request.requested(_request(args, start, None if data else task, data))
    changes = dataclasses.replace(
        options.read_request(args),
        gin_params=[f"MIXTURE_NAME = {task!r}", *_params(args)],
        own_data=data,
    )
    return request.for_model(ModelFolder(folder), changes, [request.EXACT_FILE])


# Macros of a synthesizer's gin file -> the parameters of self-attention with these values.
_OF_ATTENTION = {
    "num_heads": "num_heads",
    "d_kv": "key_value_size",
    "dropout_rate": "dropout_rate",
}
_LAYER = "SyntheticAttention"
_ATTENTIONS = (_LAYER, "SelfAttention")


def _of_described(
    args: argparse.Namespace, task: str, folder: ModelFolder
) -> request.Configuration:
    """Return the configuration of a folder's model with other self-attention layers.

    Raises:
      errors.UserError: an argument is misspelt, the layers have no number or size of heads, or the
        folder binds its synthesizers in scopes, which win over those of --synthesizer.
    """
    own = BoundValues([str(folder.operative_config)], ()).statement(_LAYER, "synthesizer")
    if own is not None and own.scope:
        raise errors.UserError(
            f"--synthesizer {args.synthesizer}: the model in {folder} has synthesizers of its own. "
            "Give --size and --run too, or leave --synthesizer out to keep them"
        )
    files = [request.EXACT_FILE, gin_files.gin_file("synthesizers", args.synthesizer)]
    if args.run is not None:
        files.append(gin_files.gin_file("runs", args.run))
    params = [*_attention(args, str(folder.operative_config)), f"MIXTURE_NAME = {task!r}"]
    changes = dataclasses.replace(options.read_request(args), gin_params=[*params, *_params(args)])
    return request.for_model(folder, changes, files)


def _attention(args: argparse.Namespace, config: str) -> Iterator[str]:
    """Yield bindings that give the new layers the heads and the bias buckets of the old ones."""
    bound = BoundValues([config], ())
    for macro, parameter in _OF_ATTENTION.items():
        if statements.macro(macro, [config, *args.gin_file], args.gin_param) is not None:
            continue
        values = [bound.value(name, parameter) for name in _ATTENTIONS]
        value = next((value for value in values if value is not None), None)
        if value is None:
            raise errors.UserError(
                f"{config} binds neither {macro} nor SelfAttention.{parameter}: give --size, or "
                f"--gin_param '{macro} = ...'"
            )
        yield f"{macro} = {value!r}"
    buckets = bound.value("SelfAttention", "relative_attention_num_buckets")
    if buckets is not None:
        yield f"{_LAYER}.relative_attention_num_buckets = {buckets}"


def _own_data(args: argparse.Namespace, start: Start) -> OwnData | None:
    """Return the files of the user's own that the model is for, checked and measured."""
    place = start.path if isinstance(start, checkpoints.Checkpoint) else None
    asked = dataclasses.replace(
        options.read_request(args),
        task=args.task,
        run=args.run,
        size=args.size,
        own_data=read_own_data(args),
        init_checkpoint=place,
        vocabulary=_vocabulary(args, start),
    )
    if asked.own_data is None:
        return None
    return measured(asked).own_data


def _transformers_configuration(
    args: argparse.Namespace, start: TransformersStart, data: OwnData | None
) -> request.Configuration:
    """Return the configuration of a model whose size is in config.json.

    Raises:
      UserError: --size is given, or --task is missing.
    """
    if args.size is not None:
        raise errors.UserError(
            f"--size {args.size}: the size is in the config.json of {args.init_checkpoint}. "
            "Leave --size out"
        )
    if args.task is None and data is None:
        raise errors.UserError(
            f"--init_checkpoint {args.init_checkpoint}: transformers models have no task. Give "
            "the task of the model with --task or --data"
        )
    # Without a synthesizer the layers are T5's own, and the request needs a gin file instead.
    files = [] if args.synthesizer else [request.EXACT_FILE]
    return request.requested(
        dataclasses.replace(
            options.read_request(args),
            task=args.task,
            synthesizer=args.synthesizer,
            size="base",
            run=args.run,
            gin_files=[*files, *args.gin_file],
            gin_params=[*start.bindings, *_buckets(args, start), *_params(args)],
            vocabulary=_vocabulary(args, start),
            own_data=data,
        )
    )


def _buckets(args: argparse.Namespace, start: TransformersStart) -> list[str]:
    if args.synthesizer is None:
        return []
    count = start.architecture.buckets
    return [f"SyntheticAttention.relative_attention_num_buckets = {count}"]


def _request(
    args: argparse.Namespace,
    start: checkpoints.Checkpoint,
    task: str | None,
    data: OwnData | None,
) -> request.Request:
    return dataclasses.replace(
        options.read_request(args),
        task=task,
        synthesizer=args.synthesizer,
        size=args.size,
        run=args.run,
        gin_params=_params(args),
        init_checkpoint=start.path,
        own_data=data,
    )


def _params(args: argparse.Namespace) -> list[str]:
    length = [] if args.max_length is None else [f"max_length = {args.max_length}"]
    return [*args.gin_param, *length]


def _task_of(folder: paths.Path) -> str | None:
    """Return the task in the configuration of a model folder."""
    task = statements.macro("MIXTURE_NAME", [str(folder / checkpoints.OPERATIVE_CONFIG)], [])
    return task if isinstance(task, str) else None
