"""Options for a user's own files, shared by the commands that train and read models."""

import argparse

from mtf_synthesizer.cli.options import listed
from mtf_synthesizer.model_folder import own_data

_TRAINED = " (default: that of training)"


def add_own_data(command: argparse.ArgumentParser, of_model: bool = False) -> None:
    """Add --data, --columns, --prefix, --metrics and --objective.

    Args:
      command: the command.
      of_model: whether the command reads a trained model, whose folder has the defaults.
    """
    default = _TRAINED if of_model else ""
    add = command.add_argument
    add(
        "--data",
        action="append",
        default=[],
        metavar="SPLIT=FILE",
        help="a file of your own instead of --task, such as train=pairs.tsv: TSV, CSV, JSON lines "
        f"or plain text, or these with .gz; once for each split (docs/own_data.md){default}",
    )
    add(
        "--columns",
        type=listed,
        default=[],
        metavar="inputs=COLUMN,targets=COLUMN",
        help="names of columns or fields of --data, or numbers from 1 where a table has no header "
        f"(default: inputs and targets, or two columns){default}",
    )
    add("--prefix", help=f"text before every input of --data{default}")
    add(
        "--metrics",
        type=listed,
        default=[],
        metavar="METRIC,METRIC",
        help=f"for --data, of {' '.join(own_data.METRICS)}"
        f"{default or ' (default: accuracy of pairs)'}",
    )
    add(
        "--objective",
        choices=[*own_data.OBJECTIVES],
        help="for --data: pairs of texts; span corruption, or language modelling, of plain text "
        f"{default or '(default: by the files; lm for a --size ending in _lm)'}",
    )


def own_data_of(args: argparse.Namespace) -> own_data.OwnData | None:
    """Return the definition that the options give; None without any of them.

    Raises:
      errors.UserError: an option has another form.
    """
    if not hasattr(args, "data"):
        return None
    return own_data.from_flags(args.data, args.columns, args.prefix, args.metrics, args.objective)
