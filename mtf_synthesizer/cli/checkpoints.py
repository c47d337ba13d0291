"""The command `checkpoints`: its sub-commands, their options and their output."""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mtf_synthesizer import errors
from mtf_synthesizer.cli import options
from mtf_synthesizer.cli.parser import Parser, add_command
from mtf_synthesizer.cli.values import numbers, positive
from mtf_synthesizer.files import new_folder
from mtf_synthesizer.model_folder import best, files, kept_best, metric_order, prune, scores
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
_VALUES = ("task", "split", "metric", "value", "examples")  # of a score, in JSON


def add_arguments(command: Parser) -> None:
    """Add the sub-commands; `checkpoints_command` of the parsed result names the sub-command."""
    commands = command.add_subparsers(dest="checkpoints_command", metavar="COMMAND", required=True)
    _add_list(_add(commands, "list", "List the checkpoints with their sizes and scores."))
    _add_average(_add(commands, "average", "Make a model of the mean of several checkpoints."))
    _add_prune(_add(commands, "prune", "Keep the last and best checkpoints, remove the others."))


def _add(commands: "argparse._SubParsersAction[Parser]", name: str, purpose: str) -> Parser:
    command = add_command(commands, name, purpose, _EXAMPLES[name])
    options.add_trained_model(command)
    options.add_verbose(command)
    return command


def _add_list(command: Parser) -> None:
    options.add_format(command)
    command.group("data").add_argument(
        "--task", help="Show the scores of this task only. Default: the scores of all tasks."
    )


def _add_average(command: Parser) -> None:
    averaged = command.group("model").add_mutually_exclusive_group(required=True)
    averaged.add_argument(
        "--last", type=positive, metavar="K", help="Average the last K checkpoints."
    )
    averaged.add_argument(
        "--steps",
        type=numbers,
        metavar="STEP,STEP",
        help="Average the checkpoints of these steps.",
    )
    command.group("output").add_argument(
        "--output",
        required=True,
        metavar="DIR",
        help="New folder of the model: --model_dir of `evaluate` and `predict`, or "
        "--init_checkpoint of `train`.",
    )


def _add_prune(command: Parser) -> None:
    options.add_format(command)
    add = command.group("model").add_argument
    add(
        "--keep_last",
        type=positive,
        metavar="K",
        help="Keep the last K checkpoints. The last one is never removed. Default: 1.",
    )
    add(
        "--keep_best",
        type=positive,
        metavar="N",
        help="Keep the N best checkpoints by --metric. Default: 0.",
    )
    add(
        "--metric",
        metavar="NAME",
        help="Metric, as a report of `evaluate` names it: for example accuracy, bleu, loss or "
        "average. Needed with --keep_best.",
    )
    options.add_better(command, "model")
    command.group("data").add_argument(
        "--task", help="Task of the metric. Default: the only task that has the metric."
    )
    options.add_split(command, best.SPLIT, "Split of the metric.")
    command.group("run").add_argument(
        "--delete",
        action="store_true",
        help="Remove the checkpoints. Default: only print which ones would be removed.",
    )


def run(args: argparse.Namespace) -> None:
    """Run the sub-command."""
    _COMMANDS[args.checkpoints_command](args)


def _folder(args: argparse.Namespace) -> ModelFolder:
    """Return the model folder; it must have a checkpoint."""
    folder = ModelFolder.at(args.model_dir)
    folder.choose("all")
    return folder


def _list(args: argparse.Namespace) -> None:
    folder = _folder(args)
    apart = kept_best.checkpoint(folder.path, None)
    read = [*scores.read(folder), *(scores.read(folder, apart) if apart else ())]
    shown = [score for score in dict.fromkeys(read) if args.task in (None, score.task)]
    if args.format == "json":
        print(json.dumps(as_rows(folder, shown), indent=2, ensure_ascii=False))
    else:
        print_list(folder, shown)


def _average(args: argparse.Namespace) -> None:
    folder = ModelFolder.at(args.model_dir)
    operative_config(folder.path)
    chosen = _last(folder, args.last) if args.last else _at_steps(folder, args.steps)
    new_folder.check("--output", args.output)
    loading.load_tensorflow(args.verbose)
    from mtf_synthesizer.training import averaging

    record = averaging.average(folder, chosen, args.output)
    steps = ", ".join(str(checkpoint.step) for checkpoint in chosen)
    print(f"{args.output}: mean of steps {steps}, {record['variables']} variables")


def _last(folder: ModelFolder, count: int) -> list[Checkpoint]:
    checkpoints = folder.choose("all")
    if count < 2 or count > len(checkpoints):
        raise errors.UserError(
            f"--last {count}: {folder} has {len(checkpoints)} complete checkpoints, and a mean "
            "needs at least 2. Give another number"
        )
    return checkpoints[-count:]


def _at_steps(folder: ModelFolder, requested: Iterable[int]) -> list[Checkpoint]:
    steps = sorted(set(requested))
    if len(steps) < 2:
        raise errors.UserError(
            f"--steps {','.join(map(str, steps))}: a mean needs at least 2 checkpoints. Give "
            "another step"
        )
    return [checkpoint for step in steps for checkpoint in folder.choose(step)]


def _prune(args: argparse.Namespace) -> None:
    _check_kept(args)
    folder = _folder(args)
    if not args.delete:
        _print_plan(args, _plan(folder, args))
        return
    with folder.lock() as locked:
        plan = _plan(locked, args)
        _print_plan(args, plan)
        prune.carry_out(locked, plan)


def _check_kept(args: argparse.Namespace) -> None:
    if bool(args.keep_best) != bool(args.metric):
        flag, missing = ("keep_best", "metric") if args.keep_best else ("metric", "keep_best")
        raise errors.UserError(
            f"--{flag} {getattr(args, flag)}: --{missing} is missing. Give both or neither"
        )
    if not args.keep_last and not args.keep_best:
        raise errors.UserError(
            "--keep_last and --keep_best are missing. Give --keep_last K, or --keep_best N with "
            "--metric NAME"
        )


def _plan(folder: ModelFolder, args: argparse.Namespace) -> prune.PrunePlan:
    return prune.plan(folder, args.keep_last or 1, _ranking(folder, args))


def _ranking(folder: ModelFolder, args: argparse.Namespace) -> prune.Ranking | None:
    if args.metric is None:
        return None
    values = scores.of_metric(scores.read(folder), args.metric, args.task, args.split)
    lower = options.read_lower(args)
    if lower is None:
        lower = metric_order.lower_is_better(args.metric)
    return prune.Ranking(args.metric, values, lower, args.keep_best)


_COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "list": _list,
    "average": _average,
    "prune": _prune,
}


def as_rows(folder: ModelFolder, scores: Sequence[Score]) -> list[dict[str, Any]]:
    """Return the checkpoints as JSON values, each with its scores; last the one kept apart."""
    rows = [
        {
            "step": saved.step,
            "bytes": saved.bytes,
            "complete": saved.complete,
            "resumed": saved.name == folder.current.name,
            "scores": _as_values(scores, saved.step),
        }
        for saved in files.saved(folder)
    ]
    kept = kept_best.read(folder.path)
    apart = files.saved(ModelFolder(folder.path / kept_best.FOLDER)) if kept else []
    return rows + [
        {
            "step": saved.step,
            "bytes": saved.bytes,
            "complete": saved.complete,
            "resumed": False,
            "scores": _as_values(scores, saved.step),
            "folder": kept_best.FOLDER,
            "kept_for": {k: getattr(kept, k) for k in _VALUES},
        }
        for saved in apart
        if kept and saved.step == kept.step
    ]


def _as_values(scores: Sequence[Score], step: int) -> list[dict[str, Any]]:
    return [{k: getattr(score, k) for k in _VALUES} for score in scores if score.step == step]


def print_list(folder: ModelFolder, scores: Sequence[Score]) -> None:
    """Print a table of checkpoints: step, size, state, and a line per evaluated task."""
    from rich.console import Console
    from rich.table import Table

    resumed = folder.current.name
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("step", "MB", "state", "scores"):
        table.add_column(
            column, justify="right" if column in ("step", "MB") else "left", overflow="fold"
        )
    for saved in files.saved(folder):
        state = "complete" if saved.complete else "incomplete"
        if saved.complete and saved.name == resumed:
            state += ", training resumes here"
        lines = _scores([score for score in scores if score.step == saved.step])
        table.add_row(str(saved.step), _megabytes(saved), state, "\n".join(lines))
    Console(width=170, highlight=False).print(table)
    if kept := kept_best.read(folder.path):
        print(
            f"kept apart in {kept_best.FOLDER}: step {kept.step}, validation {kept.metric} of "
            f"{kept.task} {kept.value:.4g}"
        )
        if kept.step not in {saved.step for saved in files.saved(folder)}:  # its row is above
            for line in _scores([score for score in scores if score.step == kept.step]):
                print(line)


def _scores(scores: Sequence[Score]) -> list[str]:
    """Return lines of metrics, one for each task, split and number of examples."""
    lines: dict[str, dict[str, float]] = {}
    for score in scores:
        count = "" if score.examples is None else f" ({score.examples} examples)"
        lines.setdefault(f"{score.task} {score.split}{count}:", {})[score.metric] = score.value
    return [
        " ".join([name, *(f"{metric} {value:.4g}" for metric, value in values.items())])
        for name, values in lines.items()
    ]


def _print_plan(args: argparse.Namespace, plan: PrunePlan) -> None:
    """Print the checkpoints to keep with the reasons, and the checkpoints to remove."""
    lines = [f"keep    {step:>9}  {reason}" for step, reason in plan.kept.items()]
    for saved in plan.removed:
        incomplete = "" if saved.complete else ", incomplete"
        lines.append(f"remove  {saved.step:>9}  {_megabytes(saved)} MB{incomplete}")
    if not args.delete:
        lines.append("nothing was removed: add --delete to remove")
    removed = [
        {"step": saved.step, "bytes": saved.bytes, "complete": saved.complete}
        for saved in plan.removed
    ]
    kept = [{"step": step, "reason": reason} for step, reason in plan.kept.items()]
    value = {"kept": kept, "removed": removed, "deleted": args.delete}
    options.print_result(args, "\n".join(lines), value)


def _megabytes(saved: Saved) -> str:
    return f"{saved.bytes / 1e6:,.1f}"
