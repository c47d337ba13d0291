"""The command `maps`: its options, and the files it writes."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mtf_synthesizer import errors
from mtf_synthesizer.cli.options import add_configuration, add_precision, listed, of_model, positive
from mtf_synthesizer.config.request import for_model
from mtf_synthesizer.files import locks, paths, saving
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.runtime import loading, precision
from mtf_synthesizer.studies.maps import write

if TYPE_CHECKING:
    from mtf_synthesizer.studies.maps.maps import Reader

EXAMPLE = (
    "mtf_synthesizer maps --model_dir runs/v runs/r --output runs/maps \\\n"
    "    --task synthesizer_verses_v001\n"
    "  mtf_synthesizer maps --model_dir runs/rv --output runs/maps_of_text \\\n"
    '    --text "modern: In the beginning God created the heaven and the earth."'
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options of `maps`."""
    add = command.add_argument
    add(
        "--model_dir",
        required=True,
        nargs="+",
        action="extend",
        metavar="DIR",
        help="folders of trained models, shown side by side",
    )
    what = command.add_mutually_exclusive_group(required=True)
    what.add_argument("--task", help="seqio task whose examples the models read")
    what.add_argument("--text", help="a text that they read instead")
    add(
        "--target",
        help="with --text: what an encoder-decoder is to write (default: what it does write)",
    )
    add("--split", default="validation", help="of the task (default: %(default)s)")
    add(
        "--examples",
        type=positive,
        default=4,
        help="of the task; the first one is pictured (default: %(default)s)",
    )
    add("--checkpoint", default="latest", help="latest, best or a step (default: %(default)s)")
    add(
        "--layers",
        type=_numbers,
        metavar="1,2,...",
        help="that are pictured, counted from 1 (default: 1,3,5 as in the paper; all of a model "
        "with fewer than five)",
    )
    add("--output", required=True, help="folder for arrays, pictures and maps.html")
    add_precision(command)
    add_configuration(command)


def _numbers(text: str) -> list[int]:
    return [positive(part) for part in listed(text)]


def run(args: argparse.Namespace) -> None:
    """Write all files and print a summary.

    Raises:
      errors.UserError: the model or checkpoint is missing, a target has no text, or the folder
        can't be written to.
    """
    folders = [ModelFolder.at(model_dir) for model_dir in dict.fromkeys(args.model_dir)]
    _check(args, folders)
    precision.choose_for_command(args.matmul_precision)
    loading.load_tensorflow(args.verbose)
    from mtf_synthesizer.studies.maps import maps as maps_maps
    from mtf_synthesizer.studies.maps import page
    from mtf_synthesizer.studies.maps import sections as maps_sections

    output = paths.of(args.output)
    with locks.hold_output(output):
        found = [
            maps_maps.of_model(
                folder,
                for_model(folder, of_model(args)),
                folder.choose(args.checkpoint, args.task)[0],
                _reader(args),
                args.verbose,
            )
            for folder in folders
        ]
        models = write.titled(found)
        blocks = write.chosen_blocks(found, args.layers)
        arrays = write.write_arrays(output, models)
        sections = maps_sections.of_models(models, blocks)
        for picture in (each for section in sections for each in section.pictures):
            saving.write_bytes(output / picture.file, picture.png)
        described = [maps_maps.described(maps) for maps in found]
        saving.write_json(output / write.DESCRIPTION, {"read": _subject(args), "models": described})
        html = page.html(models, _subject(args), sections, arrays, args.typed)
        saving.write_text(output / write.PAGE, html)
    print(write.summary(models, output))


def _check(args: argparse.Namespace, folders: Iterable[ModelFolder]) -> None:
    """Check the options without TensorFlow."""
    if args.target is not None and args.text is None:
        raise errors.UserError("--target belongs to --text: a task has targets of its own")
    if args.checkpoint == "all":
        raise errors.UserError("maps shows one checkpoint: choose latest, best or a step, not all")
    saving.check_file(paths.of(args.output) / write.PAGE)
    locks.check_output_is_free(args.output)
    for folder in folders:
        for_model(folder, of_model(args))
        folder.choose(args.checkpoint, args.task)


def _reader(args: argparse.Namespace) -> Reader:
    from mtf_synthesizer.studies.maps import examples

    if args.text is None:
        return lambda subject: examples.of_task(subject, args.task, args.split, args.examples)
    text = examples.GivenText(args.text, args.target)
    return lambda subject: examples.of_text(subject, text)


def _subject(args: argparse.Namespace) -> str:
    if args.text is None:
        return f"{args.task}, {args.split} split; pictured is the first of its examples."
    return f"The text {args.text!r}."
