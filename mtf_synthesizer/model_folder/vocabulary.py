"""What a model folder remembers of its vocabulary: ids mean nothing without it.

`vocabulary.json` says which vocabulary the model was trained with, `vocabulary.model` is a copy of
it where it was chosen by --vocabulary, so that the folder can be used on another machine. Loads no
TensorFlow.
"""

import os
from collections.abc import Mapping
from typing import Any

from mtf_synthesizer import __version__, errors
from mtf_synthesizer.files import paths, records, saving

RECORD = "vocabulary.json"
COPY = "vocabulary.model"
BYTES = "bytes"
FEATURES = ("inputs", "targets")
# What must be equal; files and versions may differ.
_COMPARED = ("kind", "sha256", "size", "sentinels")

# Of the inputs and of the targets, as `tasks.vocabularies.describe` describes a vocabulary.
Described = Mapping[str, Mapping[str, Any]]


def read(model_dir: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The record of a model folder; None where there is none, as with a checkpoint of T5's.

    Raises:
      errors.UserError: the record can't be read.
    """
    path = paths.of(model_dir) / RECORD
    if not path.exists():
        return None
    try:
        record = records.parse(path.read_text("utf-8"))
        if not all(_is_described(record[feature]) for feature in FEATURES):
            raise ValueError("no kind or file")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise errors.UserError(
            f"{path} is no record of a vocabulary ({type(error).__name__}: {error}); remove it if "
            "you know that the model and the task have the same vocabulary"
        ) from error
    return record


def _is_described(vocabulary: Any) -> bool:
    return isinstance(vocabulary["kind"], str) and isinstance(vocabulary.get("file", ""), str)


def chosen(model_dir: str | os.PathLike[str]) -> str | None:
    """The --vocabulary a model was trained with; None where its task has one of its own."""
    record = read(model_dir)
    if record is None or record.get("chosen") not in FEATURES:
        return None
    vocabulary = record[record["chosen"]]
    if vocabulary["kind"] == BYTES:
        return BYTES
    copy = paths.of(model_dir) / COPY
    return str(copy) if copy.exists() else vocabulary.get("file")


def shown(record: Mapping[str, Any]) -> str:
    """The vocabulary of the targets in a few words."""
    targets = record["targets"]
    return f"{targets['kind']} of {targets.get('size')} ids {targets.get('file', '')}".rstrip()


def check(model_dir: str | os.PathLike[str], used: Described) -> None:
    """Compares the vocabularies of a task with those of a model.

    Raises:
      errors.UserError: they differ.
    """
    record = read(model_dir)
    if record is not None:
        compare(record, used, f"the model in {model_dir}")


def compare(record: Mapping[str, Any], used: Described, made: str) -> None:
    """Compares the vocabularies of a task with a record.

    Args:
      record: of a model or a cache.
      used: the vocabularies of the task.
      made: what was made with those of the record.

    Raises:
      errors.UserError: they differ.
    """
    for feature in FEATURES:
        wanted, found = record[feature], used[feature]
        for field in _COMPARED:
            if wanted.get(field) != found.get(field):
                raise errors.UserError(
                    f"the {feature} of the task have another vocabulary than {made} was made "
                    f"with: {field} {found.get(field)} instead of {wanted.get(field)} "
                    f"({wanted.get('file', wanted['kind'])}; see {RECORD} there). Choose a task "
                    "with the same vocabulary, or give it with --vocabulary"
                )


def remember(
    model_dir: str | os.PathLike[str], used: Described, chosen_for: str | None, model: bytes | None
) -> None:
    """Writes the record of a new model; one that is there is compared and left alone.

    Args:
      model_dir: the folder.
      used: the vocabularies it is trained with.
      chosen_for: the feature whose vocabulary --vocabulary decides; None if the task does.
      model: the SentencePiece model to keep a copy of.

    Raises:
      errors.UserError: the folder's model was trained with other vocabularies.
    """
    folder = paths.of(model_dir)
    if (folder / RECORD).exists() and any(folder.glob("model.ckpt-*.index")):
        check(model_dir, used)
        return
    if model is not None:
        saving.write_bytes(folder / COPY, model)
    record = {"package_version": __version__, "chosen": chosen_for}
    saving.write_json(folder / RECORD, record | {name: dict(used[name]) for name in FEATURES})
