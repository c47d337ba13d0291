"""The sub-commands' options, with an example for each."""

import argparse
import shlex

from mtf_synthesizer import __version__, names, subcommands
from mtf_synthesizer.benchmarks import benchmark
from mtf_synthesizer.checkpoint_tools import commands as checkpoint_commands
from mtf_synthesizer.costs import cost_report
from mtf_synthesizer.data import commands as data_commands
from mtf_synthesizer.mapping import maps
from mtf_synthesizer.reporting import report
from mtf_synthesizer.serving import export_command
from mtf_synthesizer.shared_arguments import (
    add_configuration,
    add_data,
    add_gin,
    add_modules,
    add_verbose,
    listed,
    numbers,
    positive,
)
from mtf_synthesizer.submissions import leaderboards
from mtf_synthesizer.warm_start import command as warm_start

EXAMPLES = {
    "t5": "mtf_synthesizer t5 --model_dir=runs/r --module_import=mtf_synthesizer.tasks \\\n"
    "    --gin_file=sizes/tiny.gin --gin_file=synthesizers/r.gin --gin_file=runs/pretrain.gin \\\n"
    "    --gin_file=local_cpu.gin --gin_param=\"MIXTURE_NAME='synthesizer_verse_spans_v001'\"",
    "train": "mtf_synthesizer train --synthesizer rv --size tiny --run demo_pretrain \\\n"
    "    --task synthesizer_verse_spans_v001 --steps 200 --model_dir runs/rv\n"
    "  mtf_synthesizer train --init_checkpoint runs/rv --run demo_finetune \\\n"
    "    --task synthesizer_verses_v001 --steps 200 --model_dir runs/rv_verses",
    "evaluate": "mtf_synthesizer evaluate --model_dir runs/rv_verses \\\n"
    "    --task synthesizer_verses_v001 --split validation",
    "predict": "mtf_synthesizer predict --model_dir runs/rv_verses --split test \\\n"
    "    --task synthesizer_testament_v001 --output runs/testament.jsonl\n"
    "  mtf_synthesizer predict --model_dir runs/rv_glue --benchmark glue \\\n"
    "    --tfds_data_dir data --output runs/glue_predictions\n"
    "  mtf_synthesizer predict --model_dir runs/rv_verses --input in.txt --output out.txt",
    "export": "mtf_synthesizer export --model_dir runs/rv_verses --mode greedy \\\n"
    "    --output runs/served",
    "warm-start": "mtf_synthesizer warm-start --from t5_small/model.ckpt-1000000 --size small \\\n"
    "    --synthesizer rv --task synthesizer_verses_v001 --model_dir runs/rv_of_t5",
    "checkpoints": "mtf_synthesizer checkpoints list --model_dir runs/rv_verses",
    "submit": "mtf_synthesizer submit --benchmark glue --predictions runs/glue_predictions \\\n"
    "    --output runs/glue.zip",
    "data": "mtf_synthesizer data prepare --benchmark glue --from glue_data --tfds_data_dir data",
    "cache": "mtf_synthesizer cache --task c4_v220_span_corruption --tfds_data_dir data \\\n"
    "    --output_cache_dir caches\n"
    "  mtf_synthesizer cache --task c4_v220_span_corruption --tfds_data_dir gs://me/data \\\n"
    '    --output_cache_dir gs://me/caches --pipeline_options="--runner=DataflowRunner ..."',
    "compare": "mtf_synthesizer compare --experiment tiny_shakespeare --rows v,r,d,rv \\\n"
    "    --seeds 0,1,2 --vocabulary bytes --tfds_data_dir data --output runs/shakespeare",
    "demo": "mtf_synthesizer demo",
    "bench": "mtf_synthesizer bench --rows t5,r --steps 10\n"
    "  mtf_synthesizer bench --rows t5,r --mode greedy --format json\n"
    "  mtf_synthesizer bench --sweep",
    "cost": "mtf_synthesizer cost --synthesizer rv --size base\n"
    "  mtf_synthesizer cost --table 4 --format csv",
    "maps": "mtf_synthesizer maps --model_dir runs/v runs/r --output runs/maps \\\n"
    "    --task synthesizer_verses_v001\n"
    "  mtf_synthesizer maps --model_dir runs/rv --output runs/maps_of_text \\\n"
    '    --text "modern: In the beginning God created the heaven and the earth."',
    "report": "mtf_synthesizer report runs --output runs/report.md --output runs/report.html",
    "list": "mtf_synthesizer list synthesizers",
    "gin-path": "t5_mesh_transformer --gin_location_prefix=$(mtf_synthesizer gin-path) \\\n"
    "    --module_import=mtf_synthesizer.tasks --gin_file=synthesizers/rv.gin ...",
}


def parser() -> argparse.ArgumentParser:
    """The whole command line; `command` of the result is the name of the sub-command."""
    top: argparse.ArgumentParser = subcommands.Parser(
        prog="mtf_synthesizer",
        description="Synthesizer attention for Mesh-TensorFlow and T5.",
        epilog="`mtf_synthesizer COMMAND --help` shows the options of a command and an example.",
    )
    top.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add(commands, "t5", "T5's own entry point, with exactly its flags")
    _add_train(_add(commands, "train", "train a model, or go on where it stopped"))
    _add_evaluate(_add(commands, "evaluate", "evaluate a trained model on a task or mixture"))
    _add_predict(_add(commands, "predict", "decode a task, a mixture, a benchmark or a text"))
    checkpoint_commands.add_arguments(
        _add(commands, "checkpoints", "show, average and remove the checkpoints of a model")
    )
    export_command.add_arguments(
        _add(commands, "export", "write a model as a SavedModel that reads and writes texts")
    )
    warm_start.add_arguments(
        _add(commands, "warm-start", "begin a model from one of T5's, or at another length")
    )
    _add_submit(_add(commands, "submit", "make the zip that a leaderboard wants of predictions"))
    data_commands.add_arguments(_add(commands, "data", "prepare official files for training"))
    _add_cache(_add(commands, "cache", "tokenize large tasks once, by Apache Beam"))
    _add_compare(
        _add(commands, "compare", "train and evaluate several synthesizers with several seeds")
    )
    demo = _add(commands, "demo", "train and compare V, R and R+V on real text, in minutes")
    demo.add_argument("--output", default="runs/demo", help="folder (default: %(default)s)")
    add_verbose(demo)
    bench = _add(commands, "bench", "measure time and memory of steps, rows side by side")
    benchmark.add_arguments(bench)
    add_verbose(bench)
    cost = _add(commands, "cost", "count parameters and FLOPs of a model, by formula and graph")
    cost_report.add_arguments(cost)
    add_gin(cost)
    add_modules(cost)
    add_verbose(cost)
    looked = _add(commands, "maps", "show what the attention of trained models looks like")
    maps.add_arguments(looked)
    add_configuration(looked)
    report.add_arguments(_add(commands, "report", "put results beside the paper's, in its tables"))
    _add_list(_add(commands, "list", "show the known synthesizers, sizes, runs or tasks"))
    _add(commands, "gin-path", "print the folder of the gin files, for --gin_location_prefix")
    return top


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, purpose: str
) -> argparse.ArgumentParser:
    return subcommands.add(commands, name, purpose, EXAMPLES[name])


def _add_train(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--model_dir", required=True, help="folder for checkpoints, summaries, configuration")
    add("--task", help="seqio task or mixture (`mtf_synthesizer list tasks`)")
    add(
        "--synthesizer",
        help=f"one of {' '.join(names.known('synthesizers'))}, or one of the baselines "
        f"{' '.join(names.known('baselines'))}",
    )
    add("--size", help=f"one of {' '.join(names.known('sizes'))}")
    add(
        "--run",
        help=f"schedule, lengths, batch and packing: one of {' '.join(names.known('runs'))} "
        "(default: pretrain)",
    )
    add(
        "--experiment",
        help="instead of --run, --size and --task, all that a row of a table has in common with "
        f"the others: one of {' '.join(names.known('experiments'))}",
    )
    add(
        "--steps",
        type=positive,
        help="training steps, counted from --init_checkpoint",
    )
    add(
        "--batch_size",
        type=positive,
        help="sequences in a batch (default: the run's)",
    )
    add(
        "--init_checkpoint",
        help="model folder or checkpoint to start from; without --synthesizer and --size the "
        "model is the one found there",
    )
    add(
        "--partial_init",
        action="store_true",
        help="start from --init_checkpoint though it lacks variables of this model, which then "
        "start afresh, or has more",
    )
    add("--seed", type=int, default=0, help="of initial values, dropout and order of examples")
    add(
        "--summary_steps",
        type=positive,
        help="steps between summaries (default: by length)",
    )
    _add_caches(command)
    add(
        "--no_attention_summaries",
        dest="attention_summaries",
        action="store_false",
        help="no α and entropy of the attention in TensorBoard",
    )
    add_configuration(command)


def _add_evaluate(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--model_dir", required=True, help="folder of a trained model")
    add("--task", required=True, help="seqio task or mixture")
    add("--split", default="validation", help="default: %(default)s")
    add(
        "--checkpoints",
        default="latest",
        help="latest, all, a step, or best: by the task's first metric in the report that "
        "`evaluate --split validation --checkpoints all` has written (default: %(default)s)",
    )
    add("--output", help="JSON file (default: eval_<task>_<split>.json in the model folder)")
    add(
        "--no_decode",
        dest="decode",
        action="store_false",
        help="only the loss of the true targets, no decoding and no metrics of the task",
    )
    _add_examples(command)
    add_configuration(command)


def _add_predict(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--model_dir", required=True, help="folder of a trained model")
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("--task", help="seqio task or mixture")
    what.add_argument("--benchmark", help=f"all tasks of one of {' '.join(leaderboards.NAMES)}")
    what.add_argument("--input", metavar="FILE", help="each line of a text file, or of - (a pipe)")
    add(
        "--tasks",
        type=lambda text: text.split(","),
        default=[],
        metavar="TASK,TASK",
        help="only these of the benchmark's, as CoLA,RTE or glue_cola_v002",
    )
    add("--split", default="test", help="default: %(default)s")
    add(
        "--output",
        required=True,
        help="file, one JSON object per example; of a benchmark a folder with a file for each "
        "task, in which the same command goes on with the tasks that have none; of --input a file "
        "with a line for each, which the same command goes on with",
    )
    add(
        "--checkpoint",
        default="latest",
        help="latest, a step, or best, as of `evaluate` (default: %(default)s)",
    )
    _add_examples(command)
    add_configuration(command)


def _add_submit(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--benchmark", required=True, help=f"one of {' '.join(leaderboards.NAMES)}")
    add(
        "--predictions",
        required=True,
        nargs="+",
        metavar="PATH",
        help="what `predict` wrote: files, or folders with files *.jsonl",
    )
    add("--output", required=True, help="the zip")
    add(
        "--invalid",
        action="append",
        default=[],
        metavar="LABEL",
        help="answer for decoded texts that are none, for all tasks that know it; or TASK=LABEL, "
        "as CoLA=acceptable; may be given several times",
    )
    add("--partial", action="store_true", help="leave out files without any prediction")
    add(
        "--mixed_checkpoints",
        action="store_true",
        help="take predictions of several checkpoints, where tasks have models of their own",
    )
    add("--overwrite", action="store_true", help="replace a zip that is there")
    add_verbose(command)


def _add_cache(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "--task",
        action="append",
        required=True,
        help="seqio task or mixture; may be given several times",
    )
    add(
        "--output_cache_dir",
        required=True,
        metavar="DIR",
        help="folder to write to, which train takes as --additional_task_cache_dirs",
    )
    add(
        "--min_shards",
        type=positive,
        default=64,
        help="files of each split, at least: the more, the better they are mixed in training "
        "(default: %(default)s)",
    )
    add(
        "--pipeline_options",
        type=shlex.split,
        default=[],
        metavar="OPTIONS",
        help='Beam\'s own, as in --pipeline_options="--runner=FlinkRunner ..." (docs/caching.md; '
        "default: this process does it all)",
    )
    add("--overwrite", action="store_true", help="replace caches that are there")
    add_data(command)
    add_modules(command)
    add_verbose(command)


def _add_compare(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    experiments = " ".join(names.known("experiments"))
    add("--experiment", required=True, help=f"one of {experiments}")
    add(
        "--rows",
        required=True,
        type=listed,
        help="synthesizers and baselines, e.g. v,r,lightconv",
    )
    add("--seeds", type=numbers, default=[0], help="e.g. 0,1,2 (default: 0)")
    add("--output", required=True, help="folder of models and results; run again, goes on there")
    add("--steps", type=positive, help="of training (default: the experiment's)")
    add("--split", default="test", help="evaluated in the end (default: %(default)s)")
    add(
        "--validation_split",
        default="validation",
        help="that tells whether the loss still falls (default: %(default)s; IMDB and AG News have "
        "none: give test)",
    )
    add("--init_from", help="folder of an earlier comparison, whose models are fine-tuned")
    _add_caches(command)
    add(
        "--evaluation_gin_file",
        action="append",
        default=[],
        metavar="FILE",
        help="gin file for the evaluation alone, e.g. beam_search.gin",
    )
    add_configuration(command)


def _add_caches(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--additional_task_cache_dirs",
        type=listed,
        default=[],
        metavar="DIR,DIR",
        help="read what `cache` has written to these folders instead of the data itself",
    )


def _add_examples(command: argparse.ArgumentParser) -> None:
    command.add_argument("--examples", type=positive, help="only the first so many of each task")
    command.add_argument("--batch_size", type=positive, help="default: that of training")


def _add_list(command: argparse.ArgumentParser) -> None:
    choices = ["all", *names.KINDS, "tasks"]
    command.add_argument("what", nargs="?", default="all", choices=choices)
    add_modules(command)
    add_verbose(command)
