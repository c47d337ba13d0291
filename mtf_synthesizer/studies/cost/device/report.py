"""The part of the report of `cost` about each device of a mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtf_synthesizer.studies.cost.device.measure import DeviceCost

_EXACT, _ESTIMATE = "exact", "estimate"


def as_json(cost: DeviceCost) -> dict[str, Any]:
    """The object `device` of a row."""
    return {
        "mesh_shape": cost.layout.shape_text,
        "layout": cost.layout.rules_text,
        "devices": cost.layout.devices,
        "batch_size": cost.rows,
        "microbatches": cost.microbatches,
        "variable_dtype": cost.variable_type,
        "activation_dtype": cost.activation_type,
        "parameters_bytes": cost.parameters,
        "trained_parameters_bytes": cost.trained,
        "optimizer_bytes": cost.optimizer,
        "gradient_bytes": cost.gradients,
        "activation_bytes": cost.activations,
        "total_bytes": cost.total,
        "communication_bytes": cost.communication,
        "communication": [
            {
                "kind": traffic.kind,
                "axes": list(traffic.axes),
                "operations": traffic.operations,
                "bytes": traffic.bytes,
            }
            for traffic in cost.traffic
        ],
        "estimates": ["activation_bytes", "total_bytes"],
    }


def as_columns(cost: DeviceCost) -> dict[str, Any]:
    """The values of `as_json` as columns of one line, each name with the prefix `device_`."""
    columns = {}
    for name, value in as_json(cost).items():
        if isinstance(value, dict):
            kinds = {f"device_{kind}_bytes": size for kind, size in value.items()}
            columns.update(kinds)
        elif not isinstance(value, list):
            columns[f"device_{name}"] = value
    return columns


def title(cost: DeviceCost) -> str:
    """The title of the lines: mesh, layout and batch."""
    parts = f" in {cost.microbatches} parts" if cost.microbatches > 1 else ""
    return (
        f"each of {cost.layout.devices} devices ({cost.layout.shape_text}; layout "
        f"{cost.layout.rules_text or 'empty'}), training step of {cost.rows} rows{parts}"
    )


def lines(cost: DeviceCost) -> list[dict[str, Any]]:
    """Lines of a table: memory, then communication."""
    frozen = cost.parameters - cost.trained
    held = [
        (f"parameters ({cost.variable_type})", cost.parameters, _EXACT),
        ("of which not trained", frozen, _EXACT),
        ("optimizer state", cost.optimizer, _EXACT),
        (f"gradients ({cost.activation_type})", cost.gradients, _EXACT),
        (f"activations ({cost.activation_type})", cost.activations, _ESTIMATE),
        ("peak", cost.total, _ESTIMATE),
    ]
    memory = [_line("memory", name, None, size, known) for name, size, known in held]
    return memory + [
        _line(
            "communication",
            f"{traffic.kind.replace('_', ' ')} over {', '.join(traffic.axes)}",
            traffic.operations,
            traffic.bytes,
            _EXACT,
        )
        for traffic in cost.traffic
    ]


def notes(cost: DeviceCost) -> tuple[str, ...]:
    """Notes on the numbers."""
    unused = [
        f"no tensor has the dimension {name}: its rule has no effect" for name in cost.unused_rules
    ]
    return (
        "Peak: parameters, optimizer state, and the largest sum of gradients and activations that "
        "exist together.",
        *unused,
    )


def _line(group: str, what: str, operations: int | None, size: int, known: str) -> dict[str, Any]:
    return {
        "per device": group,
        "what": what,
        "operations": operations,
        "bytes": size,
        "MiB": size / 2**20,
        "number": known,
    }
