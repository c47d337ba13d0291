"""The command line: parse, one call, print. Loads TensorFlow only once a command needs it."""

import argparse
import dataclasses
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mtf_synthesizer import (
    configuration,
    failures,
    names,
    quiet,
    run_record,
    saving,
    termination,
)
from mtf_synthesizer.arguments import parser
from mtf_synthesizer.checkpoint_tools import commands as checkpoint_commands
from mtf_synthesizer.costs import cost_report
from mtf_synthesizer.data import commands as data_commands
from mtf_synthesizer.mapping import maps
from mtf_synthesizer.reporting import report
from mtf_synthesizer.serving import export_command, text_lines
from mtf_synthesizer.submissions import leaderboards, prediction_files, submission
from mtf_synthesizer.warm_start import command as warm_start

USER_ERROR = 2  # exit status, as argparse's own
_RESUMABLE = ("compare", "demo", "predict", "t5", "train")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
      The exit status: 0; 2 for a mistake of the user's, with one message and no traceback; 75
      where SIGTERM ended a training, which is saved; 130 for ctrl-C.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["t5"]:  # its flags are T5's own, so nothing of them is parsed here
        return _guarded(lambda: _t5(arguments[1:]), "t5", verbose=False)
    args = parser().parse_args(arguments)
    verbose = getattr(args, "verbose", False)
    return _guarded(lambda: _COMMANDS[args.command](args), args.command, verbose)


def _guarded(command: Callable[[], None], name: str, verbose: bool) -> int:
    try:
        command()
    except ValueError as error:  # a UserError, or what a layer says about its parameters
        if verbose:
            traceback.print_exc()
        more = "" if isinstance(error, names.UserError) else " (--verbose shows where)"
        message = str(error).partition("\n  In call to configurable")[0]  # added by gin
        print(f"mtf_synthesizer: {message}{more}", file=sys.stderr)
        return USER_ERROR
    except BrokenPipeError:  # the reader of the output, `head` for one, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        more = "; the same command goes on where it was" if name in _RESUMABLE else ""
        print(f"mtf_synthesizer: stopped{more}", file=sys.stderr)
        return 130
    except termination.Terminated as error:
        print(f"mtf_synthesizer: {error}; the same command goes on", file=sys.stderr)
        return termination.EXIT_STATUS
    except Exception as error:
        sentence = failures.described(error)
        if sentence is None:
            raise
        if verbose or name == "t5":  # which has no --verbose
            traceback.print_exc()
        print(f"mtf_synthesizer: {sentence}", file=sys.stderr)
        return USER_ERROR
    return 0


def _t5(arguments: list[str]) -> None:
    from mtf_synthesizer import t5_command

    t5_command.run(arguments)


def _train(args: argparse.Namespace) -> None:
    wanted = {
        "task": args.task,
        "synthesizer": args.synthesizer,
        "size": args.size,
        "run": args.run,
        "experiment": args.experiment,
        "steps": args.steps,
        "batch_size": args.batch_size,
        "gin_files": args.gin_file,
        "gin_params": args.gin_param,
        "modules": _modules(args),
        "init_checkpoint": args.init_checkpoint,
        "partial_init": args.partial_init,
        "vocabulary": args.vocabulary,
        "tfds_data_dir": args.tfds_data_dir,
        "additional_task_cache_dirs": args.additional_task_cache_dirs,
    }
    # Once without TensorFlow, so that a mistake is answered at once; train does the same again.
    saving.check_folder(args.model_dir)
    request = configuration.Request(**wanted)
    configuration.for_training(run_record.resumed(args.model_dir, request, args.seed))
    with termination.noticed():
        quiet.load_tensorflow(args.verbose)
        from mtf_synthesizer import runner

    result = runner.train(
        args.model_dir,
        seed=args.seed,
        summary_steps=args.summary_steps,
        attention_summaries=args.attention_summaries,
        verbose=args.verbose,
        **wanted,
    )
    print(_trained(args.model_dir, result))


def _trained(model_dir: str, result: Mapping[str, Any]) -> str:
    """What `train` has done."""
    loss = "" if result["loss"] is None else f", loss {result['loss']:.4f}"
    if not result["trained"]:
        return (
            f"{model_dir}: nothing was done: it is at step {result['step']}{loss}, and training "
            f"ends at step {result['end']}. --steps sets another end"
        )
    return f"{model_dir}: step {result['step']}{loss}, {result['seconds']:.0f} s"


def _evaluate(args: argparse.Namespace) -> None:
    _check_model(args)
    configuration.chosen_checkpoints(args.model_dir, args.checkpoints, args.task)
    if args.output is not None:
        saving.check_file(args.output)
    quiet.load_tensorflow(args.verbose)
    from mtf_synthesizer import runner

    report = runner.evaluate(
        args.model_dir,
        args.task,
        split=args.split,
        checkpoints=args.checkpoints,
        batch_size=args.batch_size,
        examples=args.examples,
        decode=args.decode,
        gin_files=args.gin_file,
        gin_params=args.gin_param,
        modules=_modules(args),
        vocabulary=args.vocabulary,
        tfds_data_dir=args.tfds_data_dir,
        output=args.output,
        verbose=args.verbose,
    )
    print(runner.describe(report))
    print(f"written to {args.output or runner.report_path(args.model_dir, args.task, args.split)}")


def _predict(args: argparse.Namespace) -> None:
    _check_model(args)
    configuration.chosen_checkpoints(args.model_dir, args.checkpoint, args.task)
    if args.tasks and not args.benchmark:
        raise names.UserError("--tasks chooses from a benchmark: give --benchmark, or one --task")
    if args.input is not None:
        _predict_lines(args)
        return
    benchmark = leaderboards.find(args.benchmark) if args.benchmark else None
    if benchmark:
        benchmark.tasks(args.tasks)
        saving.check_folder(args.output)
    else:
        saving.check_file(args.output)
    quiet.load_tensorflow(args.verbose)
    from mtf_synthesizer import runner

    options: dict[str, Any] = {
        "output": args.output,
        "split": args.split,
        "checkpoint": args.checkpoint,
        "batch_size": args.batch_size,
        "examples": args.examples,
        "gin_files": args.gin_file,
        "gin_params": args.gin_param,
        "modules": _modules(args),
        "vocabulary": args.vocabulary,
        "tfds_data_dir": args.tfds_data_dir,
        "verbose": args.verbose,
    }
    if benchmark:
        result = runner.predict_benchmark(args.model_dir, benchmark, tasks=args.tasks, **options)
    else:
        result = runner.predict(args.model_dir, args.task, **options)
    print(f"{result['examples']} predictions of step {result['step']} written to {args.output}")


def _predict_lines(args: argparse.Namespace) -> None:
    if args.examples is not None:
        raise names.UserError("--examples counts those of a task: give --input fewer lines")
    text_lines.check(args.input, args.output)
    quiet.load_tensorflow(args.verbose)
    from mtf_synthesizer.serving import line_prediction

    with text_lines.opened(args.input) as lines:
        result = line_prediction.predict_lines(
            args.model_dir,
            lines,
            output=args.output,
            checkpoint=args.checkpoint,
            batch_size=args.batch_size,
            gin_files=args.gin_file,
            gin_params=args.gin_param,
            modules=_modules(args),
            vocabulary=args.vocabulary,
            verbose=args.verbose,
        )
    print(line_prediction.describe(result))


def _export(args: argparse.Namespace) -> None:
    export_command.check(args)
    quiet.load_tensorflow(args.verbose)
    export_command.main(args)


def _warm_start(args: argparse.Namespace) -> None:
    warm_start.check(args)
    quiet.load_tensorflow(args.verbose)
    warm_start.main(args)


def _submit(args: argparse.Namespace) -> None:
    benchmark = leaderboards.find(args.benchmark)
    submission.check_free(args.output, args.overwrite)  # before many predictions are read
    report = submission.write(
        args.output,
        prediction_files.read(args.predictions),
        benchmark,
        invalid=args.invalid,
        partial=args.partial,
        mixed_checkpoints=args.mixed_checkpoints,
        overwrite=args.overwrite,
    )
    print(report)


def _check_model(args: argparse.Namespace) -> None:
    """Once without TensorFlow, so that a mistake is answered at once."""
    configuration.for_model(
        args.model_dir,
        args.gin_file,
        args.gin_param,
        _modules(args),
        args.vocabulary,
        args.tfds_data_dir,
    )


def _cache(args: argparse.Namespace) -> None:
    wanted = configuration.for_caching(_modules(args), args.vocabulary, args.tfds_data_dir)
    quiet.load_tensorflow(args.verbose)
    with quiet.without_messages(not args.verbose):  # Beam warns of what it is not asked for
        from mtf_synthesizer import caching

    made = caching.make(
        args.task,
        args.output_cache_dir,
        wanted,
        pipeline_options=args.pipeline_options,
        min_shards=args.min_shards,
        overwrite=args.overwrite,
        verbose=args.verbose,
    )
    print("\n".join(caching.describe(folder) for folder in made))


def _compare(args: argparse.Namespace) -> None:
    wanted = {
        "experiment": args.experiment,
        "rows": args.rows,
        "seeds": args.seeds,
        "split": args.split,
        "validation_split": args.validation_split,
        "steps": args.steps,
        "vocabulary": args.vocabulary,
        "tfds_data_dir": args.tfds_data_dir,
        "additional_task_cache_dirs": args.additional_task_cache_dirs,
        "gin_files": args.gin_file,
        "gin_params": args.gin_param,
        "modules": _modules(args),
        "init_from": args.init_from,
        "evaluation_gin_files": args.evaluation_gin_file,
    }
    trained = {field.name for field in dataclasses.fields(configuration.Request)} & wanted.keys()
    for row in args.rows:  # once without TensorFlow; compare does the same again
        request = {name: wanted[name] for name in trained} | {"synthesizer": row}
        configuration.for_training(configuration.Request(**request))
    saving.check_folder(args.output)
    quiet.load_tensorflow(args.verbose)
    from mtf_synthesizer import comparison

    summary = comparison.compare(args.output, comparison.Comparison(**wanted))
    print(comparison.describe(summary))
    print(f"written to {args.output}/{comparison.RESULTS}")


def _demo(args: argparse.Namespace) -> None:
    saving.check_folder(args.output)
    quiet.load_tensorflow(args.verbose)
    from mtf_synthesizer import pipeline

    pipeline.run_demo(args.output)


def _bench(args: argparse.Namespace) -> None:
    from mtf_synthesizer.benchmarks import benchmark

    benchmark.check(args)
    quiet.load_tensorflow(args.verbose)
    benchmark.main(args)


def _cost(args: argparse.Namespace) -> None:
    cost_report.check(args)
    quiet.load_tensorflow(args.verbose)
    cost_report.main(args)


def _maps(args: argparse.Namespace) -> None:
    maps.check(args)
    quiet.load_tensorflow(args.verbose)
    maps.main(args)


def _list(args: argparse.Namespace) -> None:
    for folder in names.beside(args.what):
        print(f"{folder}: {' '.join(names.known(folder))}")
    if args.what == "tasks":
        quiet.load_tensorflow(args.verbose)
        from mtf_synthesizer import stock

        stock.import_modules([*_modules(args), stock.T5_TASKS])
        print("\n".join(stock.known_tasks()))


def _gin_path(args: argparse.Namespace) -> None:
    print(names.gin_folder())


def _modules(args: argparse.Namespace) -> list[str]:
    return [*configuration.TASK_MODULES, *args.module_import]


_COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "data": data_commands.run,
    "train": _train,
    "evaluate": _evaluate,
    "predict": _predict,
    "checkpoints": checkpoint_commands.run,
    "export": _export,
    "warm-start": _warm_start,
    "submit": _submit,
    "cache": _cache,
    "compare": _compare,
    "demo": _demo,
    "bench": _bench,
    "cost": _cost,
    "maps": _maps,
    "report": report.run,
    "list": _list,
    "gin-path": _gin_path,
}
