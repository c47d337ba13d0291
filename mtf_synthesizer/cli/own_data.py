"""Options for a user's own files, shared by the commands that train and read models."""

import argparse

from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.cli.values import Several, listed
from mtf_synthesizer.model_folder import own_data


def add_own_data(command: Parser, of_model: bool = False) -> None:
    """Add --data, --columns, --prefix, --metrics and --objective.

    Args:
      command: the command.
      of_model: whether the command reads a trained model, whose folder has the defaults.
    """
    kept = "Default: the value of the training."
    add = command.group("data").add_argument
    add(
        "--data",
        action=Several,
        default=[],
        metavar="SPLIT=FILE,SPLIT=FILE",
        help="Files of your own instead of --task, for example train=pairs.tsv: TSV, CSV, JSON "
        "lines or plain text, or one of these with .gz. May be given several times "
        f"(docs/own_data.md). {kept if of_model else ''}".strip(),
    )
    add(
        "--columns",
        type=listed,
        default=[],
        metavar="inputs=COLUMN,targets=COLUMN",
        help="Columns or fields of --data, or numbers from 1 in tables without a header. "
        f"{kept if of_model else 'Default: inputs and targets, or two columns.'}",
    )
    add(
        "--prefix",
        help=f"Text before every input of --data. {kept if of_model else 'Default: no text.'}",
    )
    add(
        "--metrics",
        type=listed,
        default=[],
        metavar="METRIC,METRIC",
        help=f"Metrics of --data. Each is one of: {' '.join(own_data.METRICS)}. "
        f"{kept if of_model else 'Default: accuracy for pairs.'}",
    )
    add(
        "--objective",
        choices=[*own_data.OBJECTIVES],
        help="Task on --data: pairs of texts, or span corruption or language modelling of plain "
        f"text. {kept if of_model else 'Default: pairs; for .txt files spans or, if --size '}"
        f"{'' if of_model else 'ends in _lm, lm.'}".strip(),
    )


def read_own_data(args: argparse.Namespace) -> own_data.OwnData | None:
    """Return the definition that the options give; None without any of them.

    Raises:
      errors.UserError: an option has another form.
    """
    return own_data.from_flags(args.data, args.columns, args.prefix, args.metrics, args.objective)
