"""The command `export`: its options and its messages."""

from __future__ import annotations

import argparse

from mtf_synthesizer import errors
from mtf_synthesizer.cli.options import add_configuration, of_model, positive
from mtf_synthesizer.config import request
from mtf_synthesizer.files import new_folder
from mtf_synthesizer.inference import export_modes
from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.runtime import literal_paths, loading, precision

EXAMPLE = (
    "mtf_synthesizer export --model_dir runs/rv_verses --mode greedy \\\n    --output runs/served"
)


SAVED_MODEL, HUGGING_FACE = "savedmodel", "huggingface"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of `export`."""
    add = command.add_argument
    add("--model_dir", required=True, help="folder of a trained model")
    add(
        "--format",
        default=SAVED_MODEL,
        choices=(SAVED_MODEL, HUGGING_FACE),
        help="savedmodel: for TensorFlow Serving; huggingface: for transformers and PyTorch "
        "(default: %(default)s)",
    )
    add(
        "--mode",
        choices=list(export_modes.MODES),
        help="greedy or beam: texts in, texts out (T5's export_predict); score: the log-likelihood "
        "of targets (T5's export_score). Of a SavedModel alone, which needs it",
    )
    add(
        "--tokens",
        action="store_true",
        help="a SavedModel that reads and writes token ids instead of texts, without operations "
        "of SentencePiece",
    )
    add("--output", required=True, metavar="DIR", help="new folder for the exported model")
    add("--checkpoint", default="latest", help="latest or a step (default: %(default)s)")
    add(
        "--batch_size",
        type=positive,
        help="the most texts of a call, to which fewer are padded (default: that of training)",
    )
    add_configuration(command)


def run(args: argparse.Namespace) -> None:
    """Export a model and print a summary.

    Raises:
      errors.UserError: the model or checkpoint is missing, a binding is misspelt, or the folder is
        not empty.
    """
    _check(args)
    folder = ModelFolder.at(args.model_dir)
    decoding = export_modes.MODES[args.mode].gin_files if args.mode else ()
    wanted = request.for_model(folder, of_model(args), decoding)
    chosen = folder.choose(args.checkpoint)[0]
    if args.checkpoint == "all":
        raise errors.UserError("export takes one checkpoint: choose latest or a step, not all")
    literal_paths.check(f"--output {args.output}:", args.output)
    new_folder.check("--output", args.output)
    precision.choose(precision.FLOAT32)  # a served graph can't depend on the process's precision
    loading.load_tensorflow(args.verbose)
    if args.format == HUGGING_FACE:
        print(_to_hugging_face(args, folder, wanted, chosen))
        return
    from mtf_synthesizer.inference import export

    options = export.ExportOptions(
        args.mode, args.output, args.tokens, args.batch_size, args.verbose
    )
    record = export.export(folder, wanted, chosen, options)
    print(
        f"step {record['step']} of {args.model_dir} written to {args.output}: "
        f"{record['signature']}({', '.join(record['inputs'])}) -> "
        f"{', '.join(record['outputs'])}, of at most {record['batch_size']} "
        f"{'rows of tokens' if args.tokens else 'texts'}"
    )


def _check(args: argparse.Namespace) -> None:
    """Raise a UserError for options that do not apply to the format."""
    if args.format == SAVED_MODEL:
        if args.mode is None:
            known = ", ".join(export_modes.MODES)
            raise errors.UserError(f"--mode is missing: a SavedModel does one of {known}.")
        return
    options = {"mode": args.mode, "tokens": args.tokens, "batch_size": args.batch_size}
    given = [f"--{name}" for name, value in options.items() if value]
    if given:
        raise errors.UserError(
            f"{', '.join(given)} with --format {HUGGING_FACE}: a model of transformers is asked "
            "for these when it is used. Leave them out."
        )


def _to_hugging_face(
    args: argparse.Namespace,
    folder: ModelFolder,
    wanted: request.Configuration,
    chosen: Checkpoint,
) -> str:
    """Write the folder; return a sentence that reports it."""
    from mtf_synthesizer.inference.huggingface import export

    record = export.export(folder, wanted, chosen, output=args.output, verbose=args.verbose)
    tokenizer = "with a tokenizer" if record["has_tokenizer"] else "without a tokenizer"
    return (
        f"step {record['step']} of {args.model_dir} written to {args.output}: "
        f"{record['architecture']} of {record['parameters']:,} parameters, {tokenizer}. "
        f"{args.output}/README.md shows how it is loaded"
    )
