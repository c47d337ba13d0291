"""Check of tables and absolute positions against the rows of a run, before TensorFlow is loaded.

Lengths that no literal gives are left to the layers, which check them when they build the graph.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from mtf_synthesizer import errors
from mtf_synthesizer.config.statements import Macro, Reference
from mtf_synthesizer.config.values import BoundValues, last_part

# Model type -> gin scope of each stack -> the feature along its rows.
_STACKS: Mapping[str, Mapping[str, str]] = {
    "bitransformer": {"encoder": "inputs", "decoder": "targets"},
    "aligned": {"": "inputs"},
    "lm": {"": "targets"},
}
_TILED = (
    *("Random", "FixedRandom", "BandedRandom", "FactorizedRandom", "Dense", "FactorizedDense"),
    "TokenMixing",
)
_TABLES = (*_TILED, "Linformer")
_POSITIONS = "Unitransformer"


@dataclasses.dataclass(frozen=True)
class _Short:
    """A table or position embedding for fewer tokens than the rows have."""

    owner: str
    size: int
    bound_by: str
    feature: str
    length: int


def check(files: Sequence[str], params: Sequence[str], keeps_model: bool = False) -> None:
    """Check the lengths of a configuration given as on the command line.

    Args:
      files, params: as on the command line.
      keeps_model: whether a checkpoint defines the model and the lengths of its tables.

    Raises:
      errors.UserError: tables or absolute positions are shorter than the rows of a batch.
    """
    bound = BoundValues(files, params)
    short = list(_short(bound))
    if not short:
        return
    worst = max(short, key=lambda candidate: candidate.length)
    tiled = f", or {worst.owner}.beyond_max_length = @Tile()" if worst.owner in _TILED else ""
    raise errors.UserError(
        f"{worst.owner}.max_length is {worst.size}, but the {worst.feature} have {worst.length} "
        f"tokens: {_longer(worst, keeps_model)}, or bind fewer tokens (the macros inputs_length "
        f"and targets_length){tiled}"
    )


def _longer(short: _Short, keeps_model: bool) -> str:
    """Return how to lengthen a table: no binding lengthens the tables of a checkpoint."""
    if keeps_model:
        return (
            f"lengthen the checkpoint's tables with `mtf_synthesizer warm-start --max_length "
            f"{short.length}`"
        )
    return f"bind {short.bound_by} = {short.length} or more"


def _short(bound: BoundValues) -> Iterator[_Short]:
    """Yield everything that is too short, for every stack."""
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
    """Return what a user binds to change a max_length: a macro, or the scoped parameter."""
    statement = stack.statement(owner, "max_length")
    assert statement is not None
    if isinstance(statement.value, Macro):
        return statement.value.name
    return f"{statement.scope}/{owner}.max_length".lstrip("/")


def _owners(stack: BoundValues) -> Iterator[str]:
    """Yield the parts of a stack that refuse rows longer than their max_length."""
    if _has_positions(stack) and not _may_pack(stack):
        yield _POSITIONS
    for table in sorted(stack.used("make_layer_stack").intersection(_TABLES)):
        policy = stack.value(table, "beyond_max_length")
        if policy is None or (isinstance(policy, Reference) and _is(policy, "Refuse")):
            yield table


def _has_positions(stack: BoundValues) -> bool:
    """Return whether embeddings include positions, Mesh's default."""
    learned = stack.value(_POSITIONS, "positional_embedding")
    return learned is not False or stack.value(_POSITIONS, "sinusoid_positional_embedding") is True


def _may_pack(stack: BoundValues) -> bool:
    """Return whether rows may hold several sequences, each short enough for the table."""
    source = stack.value("run", "train_dataset_fn")
    if not isinstance(source, Reference) or not _is(source, "mesh_train_dataset_fn"):
        return True
    return stack.value("mesh_train_dataset_fn", "pack") is not False


def _is(reference: Reference, name: str) -> bool:
    return last_part(reference.selector) == name
