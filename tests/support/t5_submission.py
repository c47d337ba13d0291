"""Files that T5's own script makes of predictions: `python t5_submission.py BENCHMARK ...`.

A program of its own, since the script defines flags that T5's training script defines too.
"""

import json
import pathlib
import sys

import mtf_synthesizer.runtime.compat

import mtf_synthesizer.upstream.vocabulary  # T5's tasks, which the script loads, ask for theirs

# isort: split
from absl import flags
from t5.scripts import prepare_glue_submission
from tensorflow.python.eager import context

import mtf_synthesizer.tasks
from mtf_synthesizer.config import request
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.submissions import leaderboards
from mtf_synthesizer.upstream import session

T5_NAMES = {"glue_wnli_v002_simple_eval": "wnli", "super_glue_wsc_v102_simple_eval": "wsc"}


def write(task: str, predictions: pathlib.Path, benchmark: str, target: pathlib.Path) -> None:
    """Writes the one file of `task` into the folder `target`, in the order of the data."""
    target.mkdir(parents=True)
    rows = [json.loads(line) for line in predictions.read_text("utf-8").splitlines()]
    rows.sort(key=lambda row: row["index"])
    is_record = task == "super_glue_record_v102"
    given = [row["output"] if is_record else repr(row["prediction"]) for row in rows]
    path = target.with_suffix(".txt")
    path.write_text("\n".join(given) + "\n", "utf-8")
    flags.FLAGS(
        [
            "prepare_glue_submission",
            f"--predictions_file={path}",
            f"--task={task}",
            f"--tfds_name={T5_NAMES.get(task) or task.rsplit('_', 1)[0].split('glue_')[1]}",
            f"--out_dir={target}",
            f"--super={benchmark == 'superglue'}",
            "--cached=False",
        ]
    )
    prepare_glue_submission.main([])


def main(benchmark: str, model: str, data: str, folder: str, output: str) -> None:
    wanted = request.for_model(ModelFolder.at(model), request.Request(tfds_data_dir=data))
    with session.configured(wanted, verbose=False), context.eager_mode():
        for file in leaderboards.find(benchmark).files:
            if file.name != "AX.tsv":  # which the script does not know
                task = next(iter(file.tasks))
                target = pathlib.Path(output) / file.stem
                write(task, pathlib.Path(folder) / f"{task}.jsonl", benchmark, target)


if __name__ == "__main__":
    main(*sys.argv[1:])
