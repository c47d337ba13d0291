"""The command `export`: what it asks for and what it says."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping

from mtf_synthesizer import configuration, literal_paths, names, new_folder, quiet
from mtf_synthesizer.shared_arguments import add_configuration, of_model, positive

EXAMPLE = (
    "mtf_synthesizer export --model_dir runs/rv_verses --mode greedy \\\n    --output runs/served"
)
RECORD = "mtf_synthesizer.json"


@dataclasses.dataclass(frozen=True)
class Mode:
    """A way to use a model.

    Attributes:
      gin_files: T5's, of the way to decode.
      scores: whether it scores given targets instead of writing its own.
      model_types: Mesh's types of models that have it.
    """

    gin_files: tuple[str, ...]
    scores: bool
    model_types: tuple[str, ...]


# T5's export ends every text with EOS, so a language model could not go on with one.
MODES: Mapping[str, Mode] = {
    "greedy": Mode(("greedy_decode.gin",), False, ("bitransformer", "delimited_lm", "aligned")),
    "beam": Mode(("beam_search.gin",), False, ("bitransformer",)),
    "score": Mode((), True, ("bitransformer", "delimited_lm", "lm")),
}


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the options of `export`."""
    add = command.add_argument
    add("--model_dir", required=True, help="folder of a trained model")
    add(
        "--mode",
        required=True,
        choices=list(MODES),
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
      names.UserError: no model or checkpoint, a misspelt binding, or the folder is not empty.
    """
    wanted = of_model(args, args.model_dir, MODES[args.mode].gin_files)
    chosen = configuration.chosen_checkpoints(args.model_dir, args.checkpoint)[0]
    if args.checkpoint == "all":
        raise names.UserError("export takes one checkpoint: choose latest or a step, not all")
    literal_paths.check(f"--output {args.output}:", args.output)
    new_folder.check("--output", args.output)
    quiet.load_tensorflow(args.verbose)
    from mtf_synthesizer.serving import exporting

    record = exporting.export(
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
