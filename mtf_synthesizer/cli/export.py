"""The command `export`: its options and its run."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable

from mtf_synthesizer import errors
from mtf_synthesizer.cli import options
from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.config import request
from mtf_synthesizer.files import new_folder
from mtf_synthesizer.inference import export_modes
from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.runtime import literal_paths, loading, precision

EXAMPLE = (
    "mtf_synthesizer export --model_dir runs/rv_verses --decode greedy \\\n    --output runs/served"
)


SAVED_MODEL, HUGGING_FACE = "savedmodel", "huggingface"


def add_arguments(command: Parser) -> None:
    """Add the options of `export`."""
    options.add_trained_model(command)
    options.add_checkpoint(command, "latest", "best")
    command.accept("--mode", "--decode")
    command.group("decoding").add_argument(
        "--decode",
        choices=list(export_modes.MODES),
        help="Function of a SavedModel: greedy and beam decode texts (T5's export_predict), score "
        "computes the log-likelihood of targets (T5's export_score). Needed for a SavedModel.",
    )
    add = command.group("output").add_argument
    add(
        "--format",
        default=SAVED_MODEL,
        choices=[*_FORMATS],
        help="Format: savedmodel for TensorFlow Serving, huggingface for transformers and PyTorch. "
        "Default: %(default)s.",
    )
    add(
        "--tokens",
        action="store_true",
        help="Export a SavedModel that reads and writes token ids, without SentencePiece "
        "operations. Default: it reads and writes texts.",
    )
    add("--output", required=True, metavar="DIR", help="New folder of the exported model.")
    options.add_batch_size(
        command,
        "Largest number of texts per call; smaller calls are padded to it. Default: the batch "
        "size of the training.",
    )
    options.add_configuration(command)


def run(args: argparse.Namespace) -> None:
    """Export a model and print a summary.

    Raises:
      errors.UserError: the model or checkpoint is missing, a binding is misspelt, or the folder is
        not empty.
    """
    form = _FORMATS[args.format]
    form.check(args)
    folder = ModelFolder.at(args.model_dir)
    decoding = export_modes.MODES[args.decode].gin_files if args.decode else ()
    changes = dataclasses.replace(options.read_request(args), batch_size=args.batch_size)
    configuration = request.for_model(folder, changes, decoding)
    checkpoint = folder.choose(args.checkpoint)[0]
    if args.checkpoint == "all":
        raise errors.UserError(
            "--checkpoint all: one checkpoint is exported. Give latest, best or a step"
        )
    literal_paths.check(f"--output {args.output}:", args.output)
    new_folder.check("--output", args.output)
    precision.choose(precision.FLOAT32)  # a served graph can't depend on the process's precision
    loading.load_tensorflow(args.verbose)
    print(form.write(args, folder, configuration, checkpoint))


def _check_saved_model(args: argparse.Namespace) -> None:
    if args.decode is None:
        known = ", ".join(export_modes.MODES)
        raise errors.UserError(f"--decode is missing: a SavedModel has one. Give one of {known}")


def _check_hugging_face(args: argparse.Namespace) -> None:
    flags = [f"--{name}" for name in ("decode", "tokens", "batch_size") if getattr(args, name)]
    if flags:
        raise errors.UserError(
            f"--format {HUGGING_FACE}: transformers chooses {', '.join(flags)} when it runs the "
            f"model. Leave out {', '.join(flags)}"
        )


def _write_saved_model(
    args: argparse.Namespace,
    folder: ModelFolder,
    configuration: request.Configuration,
    checkpoint: Checkpoint,
) -> str:
    """Write the folder; return a sentence that reports it."""
    from mtf_synthesizer.inference import export

    export_options = export.ExportOptions(
        args.decode, args.output, args.tokens, args.batch_size, args.verbose
    )
    record = export.export(folder, configuration, checkpoint, export_options)
    return (
        f"step {record['step']} of {args.model_dir} written to {args.output}: "
        f"{record['signature']}({', '.join(record['inputs'])}) -> "
        f"{', '.join(record['outputs'])}, at most {record['batch_size']} "
        f"{'rows of tokens' if args.tokens else 'texts'} per call"
    )


def _write_hugging_face(
    args: argparse.Namespace,
    folder: ModelFolder,
    configuration: request.Configuration,
    checkpoint: Checkpoint,
) -> str:
    """Write the folder; return a sentence that reports it."""
    from mtf_synthesizer.inference.huggingface import export

    record = export.export(
        folder, configuration, checkpoint, output=args.output, verbose=args.verbose
    )
    tokenizer = "with a tokenizer" if record["has_tokenizer"] else "without a tokenizer"
    return (
        f"step {record['step']} of {args.model_dir} written to {args.output}: "
        f"{record['architecture']} of {record['parameters']:,} parameters, {tokenizer}. "
        f"{args.output}/README.md shows how to load it"
    )


@dataclasses.dataclass(frozen=True)
class _Format:
    """A value of --format.

    Attributes:
      check: function that raises a UserError for options that do not apply to the format.
      write: function that writes the folder and returns a sentence that reports it.
    """

    check: Callable[[argparse.Namespace], None]
    write: Callable[[argparse.Namespace, ModelFolder, request.Configuration, Checkpoint], str]


_FORMATS = {
    SAVED_MODEL: _Format(_check_saved_model, _write_saved_model),
    HUGGING_FACE: _Format(_check_hugging_face, _write_hugging_face),
}
