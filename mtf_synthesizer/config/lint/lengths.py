"""Whether tables and absolute positions hold the rows of a run: said before TensorFlow is loaded.

What no literal says is left to the layers, which say it when the graph is built.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from mtf_synthesizer import errors
from mtf_synthesizer.config.statements import Macro, Reference
from mtf_synthesizer.config.values import BoundValues, last_part

# Type of a model -> gin scope of each of its stacks -> the feature that lies along its rows.
_STACKS: Mapping[str, Mapping[str, str]] = {
    "bitransformer": {"encoder": "inputs", "decoder": "targets"},
    "aligned": {"": "inputs"},
    "lm": {"": "targets"},
}
_TILED = ("Random", "FixedRandom", "FactorizedRandom", "Dense", "FactorizedDense", "TokenMixing")
_TABLES = (*_TILED, "Linformer")
_POSITIONS = "Unitransformer"


@dataclasses.dataclass(frozen=True)
class _Short:
    """What is there for fewer tokens than rows have."""

    owner: str
    size: int
    bound_by: str
    feature: str
    length: int


def check(files: Sequence[str], params: Sequence[str], keeps_model: bool = False) -> None:
    """Checks the lengths of a configuration given as on the command line.

    Args:
      files, params: as on the command line.
      keeps_model: whether the model is that of a checkpoint, whose tables have their lengths.

    Raises:
      errors.UserError: tables or absolute positions are shorter than the rows of a batch.
    """
    bound = BoundValues(files, params)
    found = list(_short(bound))
    if not found:
        return
    worst = max(found, key=lambda each: each.length)
    tiled = f", or {worst.owner}.beyond_max_length = @Tile()" if worst.owner in _TILED else ""
    raise errors.UserError(
        f"{worst.owner}.max_length is {worst.size}, but the {worst.feature} have {worst.length} "
        f"tokens: {_longer(worst, keeps_model)}, or bind fewer tokens (the macros inputs_length "
        f"and targets_length){tiled}"
    )


def _longer(short: _Short, keeps_model: bool) -> str:
    """How there is more: tables of a checkpoint don't grow by a binding."""
    if keeps_model:
        return (
            f"`mtf_synthesizer warm-start --max_length {short.length}` makes a model for as many "
            "of the one to start from"
        )
    return f"bind {short.bound_by} = {short.length} or more"


def _short(bound: BoundValues) -> Iterator[_Short]:
    """All that is too short, of every stack."""
    lengths = bound.value("run", "sequence_length")
    stacks = _STACKS.get(bound.value("run", "model_type") or "bitransformer", {})
    for scope, feature in stacks.items():
        length = lengths.get(feature) if isinstance(lengths, dict) else None
        stack = bound.within(scope)
        for owner in _owners(stack):
            size = stack.value(owner, "max_length")
            if isinstance(size, int) and isinstance(length, int) and size < length:
                yield _Short(owner, size, _bound_by(stack, owner), feature, length)


def _bound_by(stack: BoundValues, owner: str) -> str:
    """What a user binds to change a max_length: a macro, or the parameter in its scope."""
    statement = stack.statement(owner, "max_length")
    assert statement is not None
    if isinstance(statement.value, Macro):
        return statement.value.name
    return f"{statement.scope}/{owner}.max_length".lstrip("/")


def _owners(stack: BoundValues) -> Iterator[str]:
    """What a stack has that refuses rows longer than its max_length."""
    if _has_positions(stack) and not _may_pack(stack):
        yield _POSITIONS
    for table in sorted(stack.used("make_layer_stack").intersection(_TABLES)):
        policy = stack.value(table, "beyond_max_length")
        if policy is None or (isinstance(policy, Reference) and _is(policy, "Refuse")):
            yield table


def _has_positions(stack: BoundValues) -> bool:
    """Whether positions are added to the embeddings, as Mesh does unless told otherwise."""
    learned = stack.value(_POSITIONS, "positional_embedding")
    return learned is not False or stack.value(_POSITIONS, "sinusoid_positional_embedding") is True


def _may_pack(stack: BoundValues) -> bool:
    """Whether rows may hold several sequences, each of which may be short enough."""
    source = stack.value("run", "train_dataset_fn")
    if not isinstance(source, Reference) or not _is(source, "mesh_train_dataset_fn"):
        return True
    return stack.value("mesh_train_dataset_fn", "pack") is not False


def _is(reference: Reference, name: str) -> bool:
    return last_part(reference.selector) == name
