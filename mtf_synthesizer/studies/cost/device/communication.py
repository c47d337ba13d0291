"""The data that a device exchanges with other devices in a step; no TensorFlow.

`KINDS` defines each kind and which bytes count. Bytes are counted as Mesh moves them on TPUs
(`SimdMeshImpl`).
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable

KINDS = {
    "all_reduce": "sums over devices: the bytes of the tensor that each device adds to the sum",
    "all_reduce_max": "maxima over devices, gathered on each device: the bytes of all parts",
    "all_gather": "concatenations of the devices' parts: the bytes of the whole result",
    "all_to_all": "changes of the dimension that is split: the bytes of a device's part",
    "permute": "a device receives the part of another device: the bytes of the part",
    "random_numbers": "random numbers made equal on some devices: the bytes of a device's part",
}


@dataclasses.dataclass(frozen=True)
class Collective:
    """One exchange between devices.

    Attributes:
      kind: one of KINDS.
      axes: axes of the mesh that the exchange runs over.
      bytes: for each device, as KINDS defines.
      times: number of exchanges in a step.
    """

    kind: str
    axes: tuple[str, ...]
    bytes: int
    times: int = 1


@dataclasses.dataclass(frozen=True)
class Traffic:
    """All exchanges of one kind over the same axes: their number in a step, and their bytes."""

    kind: str
    axes: tuple[str, ...]
    operations: int
    bytes: int


def traffic(collectives: Iterable[Collective]) -> tuple[Traffic, ...]:
    """Sum exchanges by kind and axes, in the order of KINDS."""
    operations: dict[tuple[str, tuple[str, ...]], int] = collections.Counter()
    volume: dict[tuple[str, tuple[str, ...]], int] = collections.Counter()
    for collective in collectives:
        operations[collective.kind, collective.axes] += collective.times
        volume[collective.kind, collective.axes] += collective.times * collective.bytes
    order = list(KINDS)
    return tuple(
        Traffic(kind, axes, operations[kind, axes], volume[kind, axes])
        for kind, axes in sorted(volume, key=lambda key: (order.index(key[0]), key[1]))
    )


def bytes_by_kind(all_traffic: Iterable[Traffic]) -> dict[str, int]:
    """Map every kind to its bytes."""
    total = dict.fromkeys(KINDS, 0)
    for entry in all_traffic:
        total[entry.kind] += entry.bytes
    return total
