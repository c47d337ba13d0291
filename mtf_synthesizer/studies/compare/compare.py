"""Rows of a table side by side: one experiment with several synthesizers and seeds.

Every run has its own folder. Finished runs are not repeated, and an interrupted training resumes
from its checkpoint.
"""

import dataclasses
import re
import statistics
from typing import Any, TypeAlias

from mtf_synthesizer.config.request import Request, for_training
from mtf_synthesizer.files import paths, records, saving
from mtf_synthesizer.inference import averages, evaluate
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.studies import variants
from mtf_synthesizer.studies.compare import checks, evidence, pace, plan, significance
from mtf_synthesizer.studies.compare.plan import ComparisonPlan
from mtf_synthesizer.studies.report import paper
from mtf_synthesizer.studies.steps import Steps, check_settings
from mtf_synthesizer.training import train
from mtf_synthesizer.upstream import session

RESULTS = "results.json"
# The last part of a run, in which the validation loss should no longer fall.
LAST_PART = 0.2
STILL_FALLING = 0.01  # nats a token
VALIDATION_EXAMPLES = 512

# Row -> seed -> metrics, fall of the validation loss, and seconds.
ByRow: TypeAlias = "dict[str, dict[int, dict[str, Any]]]"


def compare(output: str | paths.Path, comparison: ComparisonPlan) -> dict[str, Any]:
    """Train and evaluate every row with every seed.

    Rows and seeds that the folder has finished before are part of the results.

    Returns:
      The content of output/results.json: `experiment`, `split`, `rows`, and `differences` of the
      rows from the first (`evidence.Difference`). Each row has `metrics`:
      name -> mean, spread (standard deviation over the seeds; None for one seed) and values. Each
      row has `undertrained`: the number of runs whose validation loss still fell by more than
      STILL_FALLING over the last fifth; and `matmul_precision`: those of its runs.

    Raises:
      errors.UserError: a name, file, binding or split is wrong, data is missing, or the folder
        holds another comparison.
    """
    folder = paths.of(output)
    plan.check(comparison)
    checks.check(folder, comparison)
    check_settings(folder, plan.settings(comparison), plan.free_settings(folder))
    checks.check_trained(folder, comparison)
    steps = Steps(folder / plan.STEPS)
    by_row = _finished(folder, steps, comparison)
    for seed in comparison.seeds:
        for row in comparison.rows:
            by_row[row][seed] = _run(steps, folder, comparison, row, seed)
            summary = _summary(comparison, by_row)
            saving.write_json(folder / RESULTS, summary)
    with session.with_tasks(
        for_training(plan.request(comparison, comparison.rows[0], comparison.seeds[0]))
    ):
        folders = {
            row: [plan.model_dir(folder, row, seed) for seed in sorted(runs)]
            for row, runs in by_row.items()
        }
        different = significance.differences(summary["rows"], folders)
    summary["differences"] = [dataclasses.asdict(difference) for difference in different]
    saving.write_json(folder / RESULTS, summary)
    return summary


def _finished(folder: paths.Path, steps: Steps, comparison: ComparisonPlan) -> ByRow:
    """The runs of earlier commands in this folder: of this command's rows, then of others."""
    by_row: ByRow = {row: {} for row in (*comparison.rows, *_rows_of(folder / RESULTS))}
    names = {path.stem for path in (folder / plan.STEPS).glob("*.json")}
    for row, runs in by_row.items():
        scored = re.compile(rf"({re.escape(variants.folder_name(row))}_seed(\d+))_scores")
        for match in filter(None, map(scored.fullmatch, names)):
            if {f"{match[1]}_train", f"{match[1]}_fall"} <= names:
                runs[int(match[2])] = _run(steps, folder, comparison, row, int(match[2]))
    return by_row


def _rows_of(results: paths.Path) -> list[str]:
    if not results.is_file():
        return []

    def check(content: Any) -> None:
        if not isinstance(content["rows"], dict):
            raise TypeError("its rows are not named")

    remedy = "Remove it and run the command again"
    return list(records.read(results, "file of this command", check, remedy)["rows"])


def _run(
    steps: Steps, folder: paths.Path, comparison: ComparisonPlan, row: str, seed: int
) -> dict[str, Any]:
    """Train and evaluate one model: its metrics, and the late fall of its validation loss."""
    model_dir = plan.model_dir(folder, row, seed)
    request = plan.request(comparison, row, seed, _steps_in_time(steps, comparison, row))
    trained = steps.run(
        plan.training(row, seed),
        lambda: train.train(model_dir, request, train.TrainOptions(attention_summaries=False)),
    )
    fell = steps.run(f"{model_dir.name}_fall", lambda: _fall(model_dir, comparison))
    tested = steps.run(f"{model_dir.name}_scores", lambda: _tested(model_dir, comparison))
    return {
        "metrics": tested["metrics"],
        "fell": fell["fell"],
        "seconds": trained["seconds"],
        "precision": ModelFolder.at(model_dir).precision,
    }


def _steps_in_time(steps: Steps, comparison: ComparisonPlan, row: str) -> int | None:
    """The steps of a row with a budget of processor time; None for those of all rows."""
    minutes = variants.parse(row).minutes
    if minutes is None:
        return None
    request = plan.request(comparison, row, comparison.seeds[0])
    timing = steps.run(
        f"{variants.folder_name(row)}_pace",
        lambda: {"seconds_per_step": pace.seconds_per_step(request)},
    )
    return max(1, round(60 * minutes / timing["seconds_per_step"]))


def _fall(model_dir: paths.Path, comparison: ComparisonPlan) -> dict[str, Any]:
    """The fall of the validation loss over the last fifth of a run, in nats a token.

    For a mixture the result is the mean over its tasks.
    """
    checkpoints = ModelFolder.at(model_dir).checkpoints
    first, last = checkpoints[0].step, checkpoints[-1].step
    late = [c for c in checkpoints[:-1] if c.step <= last - LAST_PART * (last - first)][-1:]
    losses = [_losses(model_dir, comparison, step) for step in (*(c.step for c in late), last)]
    by_task = {task: losses[0][task] - losses[-1][task] for task in losses[-1]}
    return {
        "fell": statistics.fmean(by_task.values()),
        "by_task": by_task,
        "losses": [statistics.fmean(task_losses.values()) for task_losses in losses],
    }


def _losses(model_dir: paths.Path, comparison: ComparisonPlan, step: int) -> dict[str, float]:
    """The validation loss of each task at a step."""
    report = evaluate.evaluate(
        model_dir,
        Request(
            plan.task(comparison),
            modules=comparison.modules,
            tfds_data_dir=comparison.tfds_data_dir,
        ),
        evaluate.EvaluateOptions(
            split=comparison.validation_split,
            checkpoints=step,
            decode=False,
            examples=VALIDATION_EXAMPLES,
            output=model_dir / f"validation_{step}.json",
        ),
    )
    return {row["task"]: row["loss"] for row in report["results"]}


def _tested(model_dir: paths.Path, comparison: ComparisonPlan) -> dict[str, Any]:
    request = Request(
        plan.task(comparison),
        gin_files=comparison.evaluation_gin_files,
        modules=comparison.modules,
        tfds_data_dir=comparison.tfds_data_dir,
    )
    options = evaluate.EvaluateOptions(
        split=comparison.split, predictions=model_dir / significance.PREDICTIONS
    )
    report = evaluate.evaluate(model_dir, request, options)
    rows = report["results"]
    metrics: dict[str, float] = {}
    for row in rows:
        prefix = f"{row['task']}/" if len(rows) > 1 else ""
        metrics |= {prefix + name: value for name, value in row["metrics"].items()}
    return {"metrics": metrics}


def _summary(comparison: ComparisonPlan, by_row: ByRow) -> dict[str, Any]:
    rows = {}
    for row, of_seed in by_row.items():
        runs = [of_seed[seed] for seed in sorted(of_seed)]
        if runs:
            rows[row] = {
                "metrics": {
                    name: _mean_and_spread([run["metrics"][name] for run in runs])
                    for name in runs[0]["metrics"]
                },
                "runs": len(runs),
                "undertrained": sum(run["fell"] > STILL_FALLING for run in runs),
                "seconds": [run["seconds"] for run in runs],
                "matmul_precision": sorted({run["precision"] for run in runs}),
            }
    return {"experiment": comparison.experiment, "split": comparison.split, "rows": rows}


def _mean_and_spread(values: list[float]) -> dict[str, Any]:
    spread = averages.spread(values)
    return {"mean": statistics.fmean(values), "spread": spread, "values": values}


def describe(summary: dict[str, Any]) -> str:
    """A table in Markdown: our values, beside the paper's values if it has any."""
    reported = paper.columns(summary["experiment"])
    metrics = sorted({name for row in summary["rows"].values() for name in row["metrics"]})
    heads = [
        *metrics,
        *(f"paper's {column.experiment}: {column.metric}" for column in reported),
        "still falling",
    ]
    lines = [_line(["row", *heads]), _line(["---", *["---:"] * len(heads)])]
    for name, row in summary["rows"].items():
        cells = [_cell(row["metrics"][metric]) for metric in metrics]
        cells += [str(column.values.get(name, "")) for column in reported]
        lines.append(_line([name, *cells, f"{row['undertrained']} of {row['runs']}"]))
    if summary.get("differences"):
        different = [evidence.Difference(**difference) for difference in summary["differences"]]
        lines += ["", significance.table(different, next(iter(summary["rows"])))]
    return "\n".join(lines)


def _cell(value: dict[str, Any]) -> str:
    spread = "" if value["spread"] is None else f" ± {value['spread']:.2f}"
    return f"{value['mean']:.2f}{spread}"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
