"""Options that several commands share, sorted into the groups of the help, and their request."""

import argparse
import json
from collections.abc import Iterable, Sequence
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.cli.values import Several, device, listed, positive
from mtf_synthesizer.config import by_layer, gin_files, mesh_option, request
from mtf_synthesizer.runtime import precision

_BETTER = {"lower": True, "higher": False}


# The model.
def add_trained_model(command: Parser) -> None:
    """Add --model_dir for a model that must exist."""
    command.group("model").add_argument(
        "--model_dir", required=True, metavar="DIR", help="Folder of a trained model."
    )


def add_new_model(command: Parser, content: str) -> None:
    """Add --model_dir for a model to write.

    Args:
      command: parser of the command.
      content: help text.
    """
    command.group("model").add_argument("--model_dir", required=True, metavar="DIR", help=content)


def add_checkpoint(command: Parser, *names: str) -> None:
    """Add --checkpoint.

    Args:
      command: parser of the command.
      names: names that the command accepts beside a step.
    """
    command.group("model").add_argument(
        "--checkpoint",
        default="latest",
        help=f"Checkpoint to load: {', '.join(names)} or a step. Default: %(default)s.",
    )


def add_start(command: Parser, purpose: str, required: bool = False) -> None:
    """Add --init_checkpoint, where a model starts from."""
    command.group("model").add_argument(
        "--init_checkpoint", required=required, metavar="PATH", help=purpose
    )
    command.accept("--from", "--init_checkpoint")
    command.accept("--init_from", "--init_checkpoint")


def add_synthesizer(
    command: Parser, folders: Sequence[str] = ("synthesizers", "baselines"), default: str = ""
) -> None:
    """Add --synthesizer and --synthesizer_layers, of which one may be given.

    Args:
      command: parser of the command.
      folders: folders of gin/ whose names the command accepts.
      default: last sentence of the help.
    """
    names = "; or a baseline, one of: ".join(" ".join(gin_files.known(name)) for name in folders)
    either = command.group("model").add_mutually_exclusive_group()
    either.add_argument(
        "--synthesizer",
        metavar="NAME",
        help=f"Self-attention of the model. A synthesizer, one of: {names}. {default}".strip(),
    )
    either.add_argument(
        by_layer.FLAG,
        action="append",
        metavar="STACK=NAME*N,...",
        help="Synthesizer of each layer, from the first layer of a stack on, for example "
        "encoder=r*3,v*3. May be given once for each stack; without a stack's name the list is "
        "for every stack.",
    )


def add_size(command: Parser, default: str = "") -> None:
    """Add --size."""
    names = " ".join(gin_files.known("sizes"))
    command.group("model").add_argument(
        "--size", metavar="NAME", help=f"Size of the model. One of: {names}. {default}".strip()
    )


# The data.
def add_task(command: Parser, required: bool = False, default: str = "") -> None:
    """Add --task."""
    command.group("data").add_argument(
        "--task",
        required=required,
        help="SeqIO task or mixture; `mtf_synthesizer list tasks` prints the known ones. "
        f"{default}".strip(),
    )


def add_split(command: Parser, default: str, purpose: str) -> None:
    """Add --split."""
    command.group("data").add_argument(
        "--split", default=default, help=f"{purpose} Default: %(default)s."
    )


def add_benchmark(command: Parser, names: Iterable[str]) -> None:
    """Add --benchmark for commands that need one."""
    command.group("data").add_argument(
        "--benchmark",
        required=True,
        metavar="NAME",
        help=f"Benchmark, one of: {' '.join(names)}.",
    )


def add_data(command: Parser) -> None:
    """Add --vocabulary and --tfds_data_dir."""
    add = command.group("data").add_argument
    add(
        "--vocabulary",
        metavar="FILE",
        help="SentencePiece model, or the word bytes, for tasks without a vocabulary of their own. "
        "Default: the vocabulary of the model; for a new model T5's public vocabulary, which needs "
        "a network.",
    )
    add(
        "--tfds_data_dir",
        metavar="DIR",
        help="Folder that `data prepare` has written. Default: $TFDS_DATA_DIR, else "
        "~/tensorflow_datasets.",
    )


def add_caches(command: Parser) -> None:
    """Add --additional_task_cache_dirs."""
    command.group("data").add_argument(
        "--additional_task_cache_dirs",
        type=listed,
        default=[],
        metavar="DIR,DIR",
        help="Folders that `cache` has written; the training examples are read from them. "
        "Default: the examples are tokenized while training.",
    )


def add_examples(command: Parser) -> None:
    """Add --examples and --batch_size, which limit the input of a trained model."""
    command.group("data").add_argument(
        "--examples",
        type=positive,
        metavar="N",
        help="Read only the first N examples of each task. Default: all examples.",
    )
    add_batch_size(command, "Sequences in a batch. Default: the batch size of the training.")


def add_modules(command: Parser) -> None:
    """Add --module_import."""
    command.group("data").add_argument(
        "--module_import",
        action=Several,
        default=[],
        metavar="MODULE,MODULE",
        help="Python modules that register your own tasks or layers. May be given several times.",
    )


# The run.
def add_run(command: Parser, default: str) -> None:
    """Add --run."""
    names = " ".join(gin_files.known("runs"))
    command.group("run").add_argument(
        "--run",
        metavar="NAME",
        help="Sequence lengths, packing, batch size and learning-rate schedule. "
        f"One of: {names}. {default}",
    )


def add_experiment(command: Parser, purpose: str, required: bool = False) -> None:
    """Add --experiment."""
    default = "" if required else " Default: none."
    command.group("run").add_argument(
        "--experiment",
        required=required,
        metavar="NAME",
        help=f"{purpose} One of: {' '.join(gin_files.known('experiments'))}.{default}",
    )


def add_steps(command: Parser, purpose: str) -> None:
    """Add --steps."""
    command.group("run").add_argument("--steps", type=positive, metavar="N", help=purpose)


def add_batch_size(command: Parser, purpose: str) -> None:
    """Add --batch_size."""
    command.group("run").add_argument("--batch_size", type=positive, metavar="N", help=purpose)


def add_seed(command: Parser, purpose: str) -> None:
    """Add --seed."""
    command.group("run").add_argument(
        "--seed", type=int, default=0, metavar="N", help=f"{purpose} Default: %(default)s."
    )


def add_better(command: Parser, group: str) -> None:
    """Add --better, which says how to compare values of --metric."""
    command.group(group).add_argument(
        "--better",
        choices=_BETTER,
        help="Whether the lower or the higher --metric is better. Needed only for unknown metrics.",
    )


def read_lower(args: argparse.Namespace) -> bool | None:
    """Return whether --better asks for the lowest value; None without --better."""
    return _BETTER[args.better] if args.better else None


# The configuration.
def add_configuration(command: Parser) -> None:
    """Add the options of every command that reads a configuration and data."""
    add_gin(command)
    add_data(command)
    add_modules(command)
    add_verbose(command)


def add_gin(command: Parser) -> None:
    """Add --gin_file and --gin_param."""
    add = command.group("configuration").add_argument
    add(
        "--gin_file",
        action=Several,
        default=[],
        metavar="FILE,FILE",
        help="Further gin files, for example clip_gradients.gin. Later files win. May be given "
        "several times.",
    )
    add(
        "--gin_param",
        action="append",
        default=[],
        metavar="BINDING",
        help='Gin binding, for example "num_layers = 4". Bindings override files. May be given '
        "several times.",
    )


# Devices and output.
def add_device(command: Parser) -> None:
    """Add --device."""
    command.group("devices").add_argument(
        "--device",
        type=device,
        default="auto",
        metavar="auto|cpu|gpu|gpu:N",
        help="Device of the run. auto takes a GPU that TensorFlow sees, else the CPU; gpu:N is the "
        "GPU with number N. Default: %(default)s.",
    )


def add_mesh(command: Parser) -> None:
    """Add --gpus and --mesh."""
    add = command.group("devices").add_argument
    add(
        "--gpus",
        type=positive,
        metavar="N",
        help="Split each batch over N GPUs, as --mesh data:N. Default: one device.",
    )
    add(
        "--mesh",
        metavar="NAME:N,NAME:N",
        help="Mesh of devices: data splits the batch, heads the attention heads, model also "
        "d_ff and the vocabulary; for example data:2,heads:2. Default: one device.",
    )


def choose_device(args: argparse.Namespace) -> None:
    """Choose the device of `add_device` once TensorFlow is loaded.

    Raises:
      errors.UserError: the GPU is not visible.
    """
    from mtf_synthesizer.upstream import devices

    devices.choose(args.device)


def device_files(args: argparse.Namespace) -> list[str]:
    """Return the gin files of a chosen device: models of old releases name the CPU themselves."""
    return [] if args.device == "auto" else ["visible_devices.gin"]


def read_mesh(args: argparse.Namespace) -> mesh_option.MeshOption | None:
    """Return the mesh of `add_mesh`; None without one.

    Raises:
      errors.UserError: the options exclude each other.
    """
    if args.gpus is None:
        return mesh_option.parse(args.mesh) if args.mesh else None
    if args.mesh is not None:
        raise errors.UserError(f"--gpus {args.gpus}: --mesh has the number of devices. Give one")
    if args.device == "cpu" or ":" in args.device:
        raise errors.UserError(
            f"--gpus {args.gpus}: --device {args.device} is one device. Leave --device out"
        )
    args.device = "gpu"
    return mesh_option.parse(f"data:{args.gpus}")


def add_precision(command: Parser) -> None:
    """Add --matmul_precision."""
    command.group("devices").add_argument(
        precision.FLAG,
        choices=precision.CHOICES,
        help="Precision of matrix products. bfloat16 products are summed in float32; auto is "
        "bfloat16 if the CPU has instructions for it, else float32. A resumed run keeps its "
        f"precision. Default: ${precision.VARIABLE}, else auto.",
    )


def add_overwrite(command: Parser, existing: str) -> None:
    """Add --overwrite."""
    command.group("output").add_argument(
        "--overwrite", action="store_true", help=f"Replace {existing}."
    )


def add_format(command: Parser, formats: Iterable[str] = ("table", "json")) -> None:
    """Add --format of a command that prints a table by default."""
    command.group("output").add_argument(
        "--format",
        default="table",
        choices=list(formats),
        help="Format of the printed result. Default: %(default)s.",
    )


def print_result(args: argparse.Namespace, text: str, value: Any) -> None:
    """Print a result in the form of `add_format`: as text, or a value as JSON."""
    print(text if args.format == "table" else json.dumps(value, indent=2, ensure_ascii=False))


def add_verbose(command: Parser) -> None:
    """Add --verbose."""
    command.group("output").add_argument(
        "--verbose", action="store_true", help="Print all logs, and tracebacks of errors."
    )


def read_modules(args: argparse.Namespace) -> list[str]:
    """Return the modules that register tasks: this package's, and --module_import."""
    return [*request.TASK_MODULES, *args.module_import]


def read_synthesizer(args: argparse.Namespace) -> str | None:
    """Return --synthesizer, or the choices of --synthesizer_layers as one text.

    Raises:
      errors.UserError: a value of --synthesizer_layers has another form.
    """
    if args.synthesizer_layers is None:
        name: str | None = args.synthesizer
        return name
    text = ";".join(args.synthesizer_layers)
    by_layer.parse(text)
    return text


def read_request(
    args: argparse.Namespace, params: Sequence[str] = (), files: Sequence[str] = ()
) -> request.Request:
    """Return the request of the options that `add_configuration` adds.

    Args:
      args: the parsed command line.
      params: bindings of other options; --gin_param overrides them.
      files: gin files of other options; --gin_file overrides them.
    """
    return request.Request(
        gin_files=[*files, *args.gin_file],
        gin_params=[*params, *args.gin_param],
        modules=read_modules(args),
        vocabulary=args.vocabulary,
        tfds_data_dir=args.tfds_data_dir,
    )
