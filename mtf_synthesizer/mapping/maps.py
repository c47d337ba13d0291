"""The command `maps`: what it asks for, and the files it writes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mtf_synthesizer import configuration, names, paths, quiet, saving
from mtf_synthesizer.shared_arguments import add_configuration, listed, of_model, positive

if TYPE_CHECKING:
    from mtf_synthesizer.mapping.attention_maps import Maps, Reader

EXAMPLE = (
    "mtf_synthesizer maps --model_dir runs/v runs/r --output runs/maps \\\n"
    "    --task synthesizer_verses_v001\n"
    "  mtf_synthesizer maps --model_dir runs/rv --output runs/maps_of_text \\\n"
    '    --text "modern: In the beginning God created the heaven and the earth."'
)
ARRAYS, INITIAL_ARRAYS = "attention.npz", "attention_start.npz"
PAGE, DESCRIPTION = "maps.html", "maps.json"
# The paper's, of six; models of fewer than five show all.
_LAYERS = (1, 3, 5)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the options of `maps`."""
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
    add_configuration(command)


def _numbers(text: str) -> list[int]:
    return [positive(part) for part in listed(text)]


def run(args: argparse.Namespace) -> None:
    """Writes everything and prints what.

    Raises:
      names.UserError: no model or checkpoint, a target without a text, or no folder to write to.
    """
    _check(args)
    quiet.load_tensorflow(args.verbose)
    from mtf_synthesizer.mapping import attention_maps, map_sections, maps_page

    found = [
        attention_maps.of_model(
            model_dir,
            of_model(args, model_dir),
            configuration.chosen_checkpoints(model_dir, args.checkpoint, args.task)[0],
            _reader(args),
            args.verbose,
        )
        for model_dir in dict.fromkeys(args.model_dir)
    ]
    models = titled(found)
    blocks = _blocks(found, args.layers)
    folder = paths.of(args.output)
    arrays = _write_arrays(folder, models)
    sections = map_sections.of_models(models, blocks)
    for picture in (each for section in sections for each in section.pictures):
        saving.write_bytes(folder / picture.file, picture.png)
    described = [attention_maps.described(maps) for maps in found]
    saving.write_json(folder / DESCRIPTION, {"read": _subject(args), "models": described})
    saving.write_text(folder / PAGE, maps_page.html(models, _subject(args), sections, arrays))
    print(_summary(models, folder))


def _check(args: argparse.Namespace) -> None:
    """Answers mistakes without TensorFlow."""
    if args.target is not None and args.text is None:
        raise names.UserError("--target belongs to --text: a task has targets of its own")
    if args.checkpoint == "all":
        raise names.UserError("maps shows one checkpoint: choose latest, best or a step, not all")
    saving.check_file(paths.of(args.output) / PAGE)
    for model_dir in dict.fromkeys(args.model_dir):
        of_model(args, model_dir)
        configuration.chosen_checkpoints(model_dir, args.checkpoint, args.task)


def _reader(args: argparse.Namespace) -> Reader:
    from mtf_synthesizer.mapping import map_examples

    if args.text is None:
        return lambda subject: map_examples.of_task(subject, args.task, args.split, args.examples)
    text = map_examples.Text(args.text, args.target)
    return lambda subject: map_examples.of_text(subject, text)


def _subject(args: argparse.Namespace) -> str:
    if args.text is None:
        return f"{args.task}, {args.split} split; pictured is the first of its examples."
    return f"The text {args.text!r}."


def titled(found: Sequence[Maps]) -> dict[str, Maps]:
    """Title -> maps; models of the same kind are told apart by their folders."""
    titles = [maps.title for maps in found]
    return {
        maps.title if titles.count(maps.title) == 1 else f"{maps.title} ({maps.model_dir})": maps
        for maps in found
    }


def _blocks(found: Sequence[Maps], wanted: Sequence[int] | None) -> list[int]:
    """The layers that are pictured.

    Raises:
      names.UserError: no model has one of them.
    """
    there = sorted({layer.block for maps in found for layer in maps.layers.values()})
    if wanted is None:
        wanted = _LAYERS if there[-1] >= _LAYERS[-1] else there
    chosen = [block for block in dict.fromkeys(wanted) if block in there]
    if not chosen:
        raise names.UserError(
            f"--layers {','.join(map(str, wanted))}: the models have attention weights in layers "
            f"{', '.join(map(str, there))}"
        )
    return chosen


def _write_arrays(folder: paths.Path, models: Mapping[str, Maps]) -> list[str]:
    """One model's arrays lie in the folder itself, those of several in one each."""
    from mtf_synthesizer.mapping import attention_maps

    places = [""] if len(models) == 1 else [f"{n}_{_slug(t)}/" for n, t in enumerate(models, 1)]
    written = []
    for place, maps in zip(places, models.values(), strict=True):
        for file, weights in ((ARRAYS, maps.weights), (INITIAL_ARRAYS, maps.initial)):
            attention_maps.save(folder / (place + file), maps, weights)
            written.append(place + file)
    return written


def _slug(title: str) -> str:
    """r+v of R+V (runs/rv)."""
    return "".join(c if c.isalnum() or c in "+-" else "_" for c in title.split(" (")[0].lower())


def _summary(models: Mapping[str, Maps], folder: paths.Path) -> str:
    lines = []
    for title, maps in models.items():
        lines.append(f"{title}: step {maps.step}, {len(maps.layers)} layers of {maps.model_dir}")
        lines += [f"  left out {place}: {why}" for place, why in maps.left_out.items()]
    return "\n".join([*lines, f"written to {folder / PAGE}"])
