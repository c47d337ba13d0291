"""Examples for the maps of a model, from a task or a text; and the display of tokens.

The functions need the gin configuration of the model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import mtf_synthesizer.runtime.compat

import numpy as np
import seqio
from mesh_tensorflow.transformer import utils

from mtf_synthesizer import errors
from mtf_synthesizer.inference import predict
from mtf_synthesizer.model_folder.checkpoints import Checkpoint
from mtf_synthesizer.model_folder.folder import ModelFolder
from mtf_synthesizer.upstream import tasks
from mtf_synthesizer.upstream.examples import ExampleSet, example_sets
from mtf_synthesizer.upstream.model import Model
from mtf_synthesizer.upstream.vocabulary import ChosenVocabulary

Features = Mapping[str, np.ndarray]

START = "<s>"  # a decoder's first token: the id of padding
_FIRST_BYTE = 3  # in seqio's vocabulary of bytes


@dataclasses.dataclass(frozen=True)
class GivenText:
    """A text typed on the command line.

    Attributes:
      text: inputs, or the whole text for a language model.
      target: target of an encoder-decoder; None for the model's own output.
    """

    text: str
    target: str | None = None


@dataclasses.dataclass(frozen=True)
class Subject:
    """The model that examples are for.

    Attributes:
      folder: folder of the model.
      model: the model that the configuration defines.
      checkpoint: checkpoint that decodes if a text has no target.
    """

    folder: ModelFolder
    model: Model
    checkpoint: Checkpoint


def of_task(subject: Subject, task: str, split: str, examples: int) -> Features:
    """The first examples of a split; for a mixture, of its first task with that split.

    Returns:
      int32 [example, length] for each feature.

    Raises:
      errors.UserError: the task, the split or its data is missing, or its vocabulary differs.
    """
    features = example_sets(task, split, subject.model, examples)[0].arrays()
    if "inputs" not in features and subject.model.model_type != "lm":
        raise errors.UserError(
            f"the task {task} lacks inputs, which the model in {subject.folder} reads. Choose a "
            "task like that of its training"
        )
    return features


def of_text(subject: Subject, text: GivenText) -> Features:
    """One example with a text, in the model's own vocabulary.

    Raises:
      errors.UserError: the text has no tokens or too many, or the model takes no target.
    """
    return _READERS[subject.model.model_type](subject, text)


def _pair(subject: Subject, text: GivenText) -> Features:
    inputs = _encoded(subject, "inputs", "--text", text.text)
    target = _decoded(subject, inputs) if text.target is None else text.target
    return {"inputs": inputs, "targets": _encoded(subject, "targets", "--target", target)}


def _prefix(subject: Subject, text: GivenText) -> Features:
    return {
        "inputs": _encoded(subject, "inputs", "--text", text.text),
        "targets": _encoded(subject, "targets", "--target", text.target or ""),
    }


def _only_inputs(subject: Subject, text: GivenText) -> Features:
    _check_no_target(subject, text)
    inputs = _encoded(subject, "inputs", "--text", text.text)
    return {"inputs": inputs, "targets": np.zeros_like(inputs)}


def _only_targets(subject: Subject, text: GivenText) -> Features:
    _check_no_target(subject, text)
    return {"targets": _encoded(subject, "targets", "--text", text.text)}


_READERS: dict[str, Callable[[Subject, GivenText], Features]] = {
    "bitransformer": _pair,
    "delimited_lm": _prefix,
    "aligned": _only_inputs,
    "lm": _only_targets,
}


def _check_no_target(subject: Subject, text: GivenText) -> None:
    if text.target is not None:
        raise errors.UserError(
            f"--target {text.target!r}: the model in {subject.folder} is of the type "
            f"{subject.model.model_type!r} and reads only one text. Omit --target"
        )


def _encoded(subject: Subject, feature: str, flag: str, text: str) -> np.ndarray:
    """Token ids, int32 [1, length], with an end token if the model's task adds one."""
    ids = list(vocabulary_of(subject.model, feature).encode(text))
    declared = seqio.get_mixture_or_task(tasks.configured_task()).output_features[feature]
    if declared.add_eos:
        ids.append(declared.vocabulary.eos_id)
    most = subject.model.sequence_length[feature]
    if not 0 < len(ids) <= most:
        raise errors.UserError(
            f"{flag} {text!r} has {len(ids)} tokens; the model in {subject.folder} takes 1 to "
            f"{most}"
        )
    return np.array([ids], np.int32)


def _decoded(subject: Subject, inputs: np.ndarray) -> str:
    """The model's own output."""
    task = seqio.get_subtasks(seqio.get_mixture_or_task(tasks.configured_task()))[0]
    example = ExampleSet(task, [{"inputs": inputs[0]}], {"inputs": inputs.shape[1]})
    (output,) = predict.decoded(subject.folder, example, subject.model, 1, subject.checkpoint)
    vocabulary = vocabulary_of(subject.model, "targets")
    # A decoded text without an end token fills all positions; cut it to make room for the token.
    most = subject.model.sequence_length["targets"] - 1
    return str(vocabulary.decode(vocabulary.encode(output)[:most]))


def vocabulary_of(model: Model, feature: str) -> Any:
    """The vocabulary of inputs or targets."""
    choose = utils.inputs_vocabulary if feature == "inputs" else utils.targets_vocabulary
    vocabulary = choose(model.vocabulary)
    return vocabulary.chosen if isinstance(vocabulary, ChosenVocabulary) else vocabulary


def pieces(vocabulary: Any, ids: Iterable[int]) -> list[str]:
    """Tokens in readable form: ▁the, <extra_id_0>, </s>."""
    return [_piece(vocabulary, int(id_)) for id_ in ids]


def _piece(vocabulary: Any, id_: int) -> str:
    if id_ == 0:
        return START
    if id_ == vocabulary.eos_id:
        return "</s>"
    if id_ >= vocabulary.vocab_size - vocabulary.extra_ids:
        return f"<extra_id_{vocabulary.vocab_size - 1 - id_}>"
    if isinstance(vocabulary, seqio.SentencePieceVocabulary):
        return str(vocabulary.tokenizer.id_to_piece(id_))
    if isinstance(vocabulary, seqio.ByteVocabulary) and id_ >= _FIRST_BYTE:
        return _byte(id_ - _FIRST_BYTE)
    return str(vocabulary.decode([id_])) or f"<{id_}>"


def _byte(value: int) -> str:
    character = chr(value)
    return character if character.isascii() and character.isprintable() else f"<{value:02x}>"
