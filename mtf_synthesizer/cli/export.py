"""The command `export`: what it asks for and what it says."""

from __future__ import annotations

import argparse

from mtf_synthesizer import errors
from mtf_synthesizer.cli.options import add_configuration, of_model, positive
from mtf_synthesizer.files import new_folder
from mtf_synthesizer.inference import export_modes
from mtf_synthesizer.model_folder import checkpoints
from mtf_synthesizer.runtime import literal_paths, loading, precision

EXAMPLE = (
    "mtf_synthesizer export --model_dir runs/rv_verses --mode greedy \\\n    --output runs/served"
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the options of `export`."""
    add = command.add_argument
    add("--model_dir", required=True, help="folder of a trained model")
    add(
        "--mode",
        required=True,
        choices=list(export_modes.MODES),
        help="greedy or beam: texts in, texts out (T5's export_predict); score: the log-likelihood "
        "of targets (T5's export_score)",
    )
    add("--output", required=True, metavar="DIR", help="new folder for the SavedModel")
    add("--checkpoint", default="latest", help="latest or a step (default: %(default)s)")
    add(
        "--batch_size",
        type=positive,
        help="the most texts of a call, to which fewer are padded (default: that of training)",
    )
    add_configuration(command)


def run(args: argparse.Namespace) -> None:
    """Exports and prints what.

    Raises:
      errors.UserError: no model or checkpoint, a misspelt binding, or the folder is not empty.
    """
    wanted = of_model(args, args.model_dir, export_modes.MODES[args.mode].gin_files)
    chosen = checkpoints.chosen_checkpoints(args.model_dir, args.checkpoint)[0]
    if args.checkpoint == "all":
        raise errors.UserError("export takes one checkpoint: choose latest or a step, not all")
    literal_paths.check(f"--output {args.output}:", args.output)
    new_folder.check("--output", args.output)
    precision.choose(precision.FLOAT32)  # graphs that are served have no precision of a process
    loading.load_tensorflow(args.verbose)
    from mtf_synthesizer.inference import export

    record = export.export(
        args.model_dir,
        wanted,
        chosen,
        mode=args.mode,
        output=args.output,
        batch_size=args.batch_size,
        verbose=args.verbose,
    )
    print(
        f"step {record['step']} of {args.model_dir} written to {args.output}: "
        f"{record['signature']}({', '.join(record['inputs'])}) -> "
        f"{', '.join(record['outputs'])}, of at most {record['batch_size']} texts"
    )
