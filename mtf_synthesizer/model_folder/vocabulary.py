"""Record of a model's vocabulary in its folder: ids mean nothing without the vocabulary.

`vocabulary.json` describes the vocabulary of the training. `vocabulary.model` is a copy of a
vocabulary chosen by --vocabulary, so that the folder works on another machine. This module loads no
TensorFlow.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from mtf_synthesizer import __version__, errors
from mtf_synthesizer.files import paths, records, saving

RECORD = "vocabulary.json"
COPY = "vocabulary.model"
BYTES = "bytes"
# Defaults of --vocabulary: the environment variable, then T5's public model.
DEFAULT_VARIABLE = "MTF_SYNTHESIZER_VOCABULARY"
T5_VOCABULARY = "gs://t5-data/vocabs/cc_all.32000/sentencepiece.model"
FEATURES = ("inputs", "targets")
# Fields that must agree; files and versions may differ.
_COMPARED = ("kind", "sha256", "size", "sentinels")

# Feature -> description of its vocabulary, as `upstream.vocabulary.describe` returns it.
Described = Mapping[str, Mapping[str, Any]]


def read(folder: paths.Path) -> dict[str, Any] | None:
    """Return the record of a model folder; None if missing, as for a checkpoint of T5.

    Raises:
      errors.UserError: the record can't be read.
    """
    record: dict[str, Any] | None = records.read(
        folder / RECORD,
        "record of a vocabulary",
        _check,
        "Remove the file if you know that the model and the task have the same vocabulary",
    )
    return record


def _check(record: Any) -> None:
    if not all(_is_described(record[feature]) for feature in FEATURES):
        raise ValueError("no kind or file")


def _is_described(vocabulary: Any) -> bool:
    return isinstance(vocabulary["kind"], str) and isinstance(vocabulary.get("file", ""), str)


def chosen(folder: paths.Path) -> str | None:
    """Return the --vocabulary of a model's training; None if the task chose the vocabulary."""
    record = read(folder)
    if record is None or record.get("chosen") not in FEATURES:
        return None
    vocabulary = record[record["chosen"]]
    if vocabulary["kind"] == BYTES:
        return BYTES
    copy = folder / COPY
    return str(copy) if copy.exists() else vocabulary.get("file")


def shown(record: Mapping[str, Any]) -> str:
    """Describe the vocabulary of the targets in a few words."""
    targets = record["targets"]
    return f"{targets['kind']} of {targets.get('size')} ids {targets.get('file', '')}".rstrip()


def check(folder: paths.Path, used: Described) -> None:
    """Compare the vocabularies of a task with the vocabularies of a model.

    Raises:
      errors.UserError: they differ.
    """
    record = read(folder)
    if record is not None:
        compare(record, used, f"the model in {folder}")


def compare(record: Mapping[str, Any], used: Described, owner: str) -> None:
    """Compare the vocabularies of a task with a record.

    Args:
      record: record of a model or a cache.
      used: vocabularies of the task.
      owner: the model or cache, for the message.

    Raises:
      errors.UserError: the vocabularies differ.
    """
    for feature in FEATURES:
        expected, actual = record[feature], used[feature]
        for field in _COMPARED:
            if expected.get(field) != actual.get(field):
                raise errors.UserError(
                    f"the {feature} of the task have another vocabulary than {owner}: {field} is "
                    f"{actual.get(field)} instead of {expected.get(field)} "
                    f"({expected.get('file', expected['kind'])}; see {RECORD} there). Choose a "
                    "task with the same vocabulary, or pass that vocabulary with --vocabulary"
                )


@dataclasses.dataclass(frozen=True)
class UsedVocabulary:
    """The vocabularies that a model is trained with.

    Attributes:
      described: descriptions of the vocabularies of inputs and targets.
      chosen_for: the feature whose vocabulary --vocabulary decides; None if the task does.
      model: the SentencePiece model to keep a copy of.
    """

    described: Described
    chosen_for: str | None = None
    model: bytes | None = None


def remember(folder: paths.Path, used: UsedVocabulary) -> None:
    """Write the record of a new model; compare an existing record and leave it unchanged.

    Raises:
      errors.UserError: the folder's model was trained with other vocabularies.
    """
    if (folder / RECORD).exists() and any(folder.glob("model.ckpt-*.index")):
        check(folder, used.described)
        return
    if used.model is not None:
        saving.write_bytes(folder / COPY, used.model)
    record = {"package_version": __version__, "chosen": used.chosen_for}
    described = {name: dict(used.described[name]) for name in FEATURES}
    saving.write_json(folder / RECORD, record | described)
