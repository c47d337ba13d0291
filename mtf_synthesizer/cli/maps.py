"""The command `maps`: its options and its run."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING

from mtf_synthesizer import errors
from mtf_synthesizer.cli import options
from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.cli.values import Several, positive, positive_numbers
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


def add_arguments(command: Parser) -> None:
    """Add the options of `maps`."""
    add = command.group("model").add_argument
    add(
        "--model_dir",
        required=True,
        nargs="+",
        action=Several,
        metavar="DIR",
        help="Folders of trained models, which are shown side by side. May be given several times.",
    )
    add(
        "--layers",
        type=positive_numbers,
        metavar="N,N",
        help="Layers to draw, counted from 1. Default: 1,3,5 as in the paper; all layers of a "
        "model with fewer than five.",
    )
    options.add_checkpoint(command, "latest", "best")
    source = command.group("data").add_mutually_exclusive_group(required=True)
    source.add_argument("--task", help="SeqIO task whose examples the models read.")
    source.add_argument("--text", help="Text that the models read instead of a task.")
    command.group("data").add_argument(
        "--target",
        metavar="TEXT",
        help="Target of --text for an encoder-decoder. Default: the text that the model decodes.",
    )
    options.add_split(command, "validation", "Split of the task.")
    command.group("data").add_argument(
        "--examples",
        type=positive,
        default=4,
        metavar="N",
        help="Number of examples of the task; the first one is drawn. Default: %(default)s.",
    )
    command.group("output").add_argument(
        "--output", required=True, metavar="DIR", help="Folder of arrays, pictures and maps.html."
    )
    command.group("output").add_argument(
        "--numbers",
        action="store_true",
        help="Also print the paper's Section 5 as numbers, and write numbers.json.",
    )
    command.group("output").add_argument(
        "--width",
        type=positive,
        default=2,
        metavar="N",
        help="Distance in tokens that --numbers counts as near. Default: %(default)s.",
    )
    options.add_precision(command)
    options.add_configuration(command)


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
    from mtf_synthesizer.studies.maps import numbers, page
    from mtf_synthesizer.studies.maps import sections as maps_sections

    output = paths.of(args.output)
    with locks.hold_output(output):
        maps_of_models = [
            maps_maps.of_model(
                folder,
                for_model(folder, options.read_request(args)),
                folder.choose(args.checkpoint, args.task)[0],
                _reader(args),
                args.verbose,
            )
            for folder in folders
        ]
        models = write.titled(maps_of_models)
        blocks = write.chosen_blocks(maps_of_models, args.layers)
        arrays = write.write_arrays(output, models)
        sections = maps_sections.of_models(models, blocks)
        for picture in (picture for section in sections for picture in section.pictures):
            saving.write_bytes(output / picture.file, picture.png)
        described = [maps_maps.described(maps) for maps in maps_of_models]
        saving.write_json(output / write.DESCRIPTION, {"read": _subject(args), "models": described})
        html = page.html(models, _subject(args), sections, arrays, args.typed)
        saving.write_text(output / write.PAGE, html)
        if args.numbers:
            layers = numbers.of_models(models, args.width)
            saving.write_json(output / numbers.FILE, numbers.described(layers, args.width))
            print(numbers.shown(layers, args.width))
    print(write.summary(models, output))


def _check(args: argparse.Namespace, folders: Iterable[ModelFolder]) -> None:
    """Check the options without TensorFlow."""
    if args.target is not None and args.text is None:
        raise errors.UserError(
            f"--target {args.target}: a task has its own targets. Leave it out, or give --text"
        )
    if args.checkpoint == "all":
        raise errors.UserError(
            "--checkpoint all: one checkpoint is drawn. Give latest, best or a step"
        )
    saving.check_file(paths.of(args.output) / write.PAGE)
    locks.check_output_is_free(args.output)
    for folder in folders:
        for_model(folder, options.read_request(args))
        folder.choose(args.checkpoint, args.task)


def _reader(args: argparse.Namespace) -> Reader:
    from mtf_synthesizer.studies.maps import examples

    if args.text is None:
        return lambda subject: examples.of_task(subject, args.task, args.split, args.examples)
    text = examples.GivenText(args.text, args.target)
    return lambda subject: examples.of_text(subject, text)


def _subject(args: argparse.Namespace) -> str:
    if args.text is None:
        return f"The models read {args.task}, {args.split} split. The first example is drawn."
    return f"The text that the models read: {args.text!r}."
