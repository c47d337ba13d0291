"""The command `checkpoints`: its sub-commands, their options and their output."""

import argparse
from collections.abc import Callable, Iterable, Sequence

from mtf_synthesizer import errors
from mtf_synthesizer.cli import parser
from mtf_synthesizer.cli.options import add_verbose, numbers, positive
from mtf_synthesizer.files import new_folder
from mtf_synthesizer.model_folder import best, files, metric_order, prune, scores
from mtf_synthesizer.model_folder.checkpoints import Checkpoint, operative_config
from mtf_synthesizer.model_folder.files import Saved
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.model_folder.prune import PrunePlan
from mtf_synthesizer.model_folder.scores import Score
from mtf_synthesizer.runtime import loading

_EXAMPLES = {
    "list": "mtf_synthesizer checkpoints list --model_dir runs/rv_verses",
    "average": "mtf_synthesizer checkpoints average --model_dir runs/rv_verses --last 5 \\\n"
    "    --output runs/rv_verses_average",
    "prune": "mtf_synthesizer checkpoints prune --model_dir runs/rv_verses --keep_last 2 \\\n"
    "    --keep_best 3 --metric bleu --task synthesizer_modern_english_v001 --delete",
}
EXAMPLE = _EXAMPLES["list"]


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the sub-commands; `checkpoints_command` of the parsed result names the sub-command."""
    commands = command.add_subparsers(dest="checkpoints_command", metavar="COMMAND", required=True)
    _add_list(_add(commands, "list", "show what there is of each checkpoint, and its scores"))
    _add_average(_add(commands, "average", "make a model of the mean of several checkpoints"))
    _add_prune(_add(commands, "prune", "keep the last and the best checkpoints, remove the others"))


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, purpose: str
) -> argparse.ArgumentParser:
    added = parser.add(commands, name, purpose, _EXAMPLES[name])
    added.add_argument("--model_dir", required=True, help="folder of a trained model")
    return added


def _add_list(command: argparse.ArgumentParser) -> None:
    command.add_argument("--task", help="only the scores of this task")
    add_verbose(command)


def _add_average(command: argparse.ArgumentParser) -> None:
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("--last", type=positive, metavar="K", help="the last K checkpoints")
    which.add_argument("--steps", type=numbers, metavar="A,B,...", help="those of these steps")
    command.add_argument(
        "--output",
        required=True,
        metavar="DIR",
        help="new folder, which evaluate and predict take as --model_dir and train as "
        "--init_checkpoint",
    )
    add_verbose(command)


def _add_prune(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "--keep_last",
        type=positive,
        metavar="K",
        help="keep the last K checkpoints (default: 1; the last is never removed)",
    )
    add("--keep_best", type=positive, metavar="N", help="keep the N best by --metric")
    add("--metric", help="as a report of `evaluate` names it, e.g. accuracy, bleu, loss, average")
    add("--task", help="whose metric (default: the only one that has it)")
    add(
        "--split",
        default=best.SPLIT,
        help="whose report says it (default: %(default)s)",
    )
    add("--better", choices=_BETTER, help="needed only for a metric that is not known")
    add("--delete", action="store_true", help="do it; without it is only shown what would be done")
    add_verbose(command)


_BETTER = {"lower": True, "higher": False}


def run(args: argparse.Namespace) -> None:
    """Run the sub-command."""
    _COMMANDS[args.checkpoints_command](args)


def _folder(args: argparse.Namespace) -> ModelFolder:
    """The folder, which must have a checkpoint."""
    folder = ModelFolder.at(args.model_dir)
    folder.choose("all")
    return folder


def _list(args: argparse.Namespace) -> None:
    folder = _folder(args)
    of_task = [score for score in scores.read(folder) if args.task in (None, score.task)]
    print_list(folder, of_task)


def _average(args: argparse.Namespace) -> None:
    folder = ModelFolder.at(args.model_dir)
    operative_config(folder.path)
    chosen = _of_last(folder, args.last) if args.last else _of_steps(folder, args.steps)
    new_folder.check("--output", args.output)
    loading.load_tensorflow(args.verbose)
    from mtf_synthesizer.training import averaging

    record = averaging.average(folder, chosen, args.output)
    steps = ", ".join(str(checkpoint.step) for checkpoint in chosen)
    print(f"{args.output}: mean of steps {steps}, {record['variables']} variables")


def _of_last(folder: ModelFolder, count: int) -> list[Checkpoint]:
    existing = folder.choose("all")
    if count < 2 or count > len(existing):
        raise errors.UserError(
            f"--last {count}: {folder} has {len(existing)} complete checkpoints, and a mean needs "
            "at least 2"
        )
    return existing[-count:]


def _of_steps(folder: ModelFolder, given: Iterable[int]) -> list[Checkpoint]:
    steps = sorted(set(given))
    if len(steps) < 2:
        raise errors.UserError(f"--steps {steps}: a mean needs at least 2 checkpoints")
    return [checkpoint for step in steps for checkpoint in folder.choose(step)]


def _prune(args: argparse.Namespace) -> None:
    _check_asked(args)
    folder = _folder(args)
    if not args.delete:
        print_plan(_planned(folder, args))
        print("nothing was removed: --delete does it")
        return
    with folder.lock() as locked:
        wanted = _planned(locked, args)
        print_plan(wanted)
        prune.carry_out(locked, wanted)


def _check_asked(args: argparse.Namespace) -> None:
    if bool(args.keep_best) != bool(args.metric):
        raise errors.UserError("--keep_best N and --metric NAME go together: give both or neither")
    if not (args.keep_last or args.keep_best):
        raise errors.UserError("say what to keep: --keep_last K, --keep_best N with --metric")


def _planned(folder: ModelFolder, args: argparse.Namespace) -> prune.PrunePlan:
    return prune.plan(folder, args.keep_last or 1, _ranking(folder, args))


def _ranking(folder: ModelFolder, args: argparse.Namespace) -> prune.Ranking | None:
    if args.metric is None:
        return None
    known = scores.read(folder)
    values = scores.of_metric(known, args.metric, args.task, args.split)
    lower = _BETTER[args.better] if args.better else metric_order.lower_is_better(args.metric)
    return prune.Ranking(args.metric, values, lower, args.keep_best)


_COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "list": _list,
    "average": _average,
    "prune": _prune,
}


def print_list(folder: ModelFolder, scores: Sequence[Score]) -> None:
    """Print a table of checkpoints: step, size, state, and a line for each evaluated task."""
    from rich.console import Console
    from rich.table import Table

    goes_on = folder.current.name
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("step", "MB", "state", "scores"):
        table.add_column(
            column, justify="right" if column in ("step", "MB") else "left", overflow="fold"
        )
    for each in files.saved(folder):
        state = "complete" if each.complete else "not finished"
        if each.complete and each.name == goes_on:
            state += ", training goes on here"
        lines = _scores([score for score in scores if score.step == each.step])
        table.add_row(str(each.step), _megabytes(each), state, "\n".join(lines))
    Console(width=170, highlight=False).print(table)


def _scores(of_step: Sequence[Score]) -> list[str]:
    """Lines of metrics, one for each task, split and number of examples."""
    lines: dict[str, dict[str, float]] = {}
    for each in of_step:
        of = "" if each.examples is None else f" ({each.examples} examples)"
        lines.setdefault(f"{each.task} {each.split}{of}:", {})[each.metric] = each.value
    return [
        " ".join([name, *(f"{metric} {value:.4g}" for metric, value in values.items())])
        for name, values in lines.items()
    ]


def print_plan(wanted: PrunePlan) -> None:
    """Print the kept checkpoints with reasons, and the others."""
    for step, why in wanted.kept.items():
        print(f"keep    {step:>9}  {why}")
    for each in wanted.removed:
        unfinished = "" if each.complete else ", never finished"
        print(f"remove  {each.step:>9}  {_megabytes(each)} MB{unfinished}")


def _megabytes(each: Saved) -> str:
    return f"{each.bytes / 1e6:,.1f}"
