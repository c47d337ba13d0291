"""The option --mesh: a device mesh in the words of a user, as gin files and bindings."""

from __future__ import annotations

import dataclasses

from mtf_synthesizer import errors

_EXAMPLE = "data:2,heads:2"
# What a name splits, in Mesh's syntax, and the gin file alone and with data.
_LAYOUTS = {
    "data": "batch:batch",
    "heads": "batch:batch,heads:model",
    "model": "batch:batch,heads:model,d_ff:model,vocab:model",
}


@dataclasses.dataclass(frozen=True)
class MeshOption:
    """A mesh: groups of devices that split the batch, and devices of a group that split the model.

    Attributes:
      data: number of groups.
      split: "heads" or "model", what the devices of a group split; None for one device.
      devices: number of devices of a group.
    """

    data: int
    split: str | None
    devices: int

    @property
    def gin_files(self) -> list[str]:
        """The file of gin/meshes/ that describes the mesh."""
        if self.split is None:
            return ["meshes/data.gin"]
        return [f"meshes/{self.split}.gin"]

    @property
    def gin_params(self) -> list[str]:
        """Bindings of the file's macros."""
        return [f"data_devices = {self.data}", f"model_devices = {self.devices}"]

    @property
    def shape(self) -> str:
        """The mesh in Mesh's syntax."""
        return f"batch:{self.data};model:{self.devices}"

    @property
    def layout(self) -> str:
        """The layout in Mesh's syntax."""
        return _LAYOUTS[self.split or "data"]


def parse(text: str) -> MeshOption:
    """Parse "data:2,heads:2".

    Raises:
      errors.UserError: a name is unknown or occurs twice, a number is not positive, or heads and
        model occur together.
    """
    sizes: dict[str, int] = {}
    for part in text.split(","):
        name, _, number = (piece.strip() for piece in part.partition(":"))
        errors.check("axis of --mesh", name, _LAYOUTS)
        if not number.isdecimal() or int(number) == 0:
            raise errors.UserError(
                f"--mesh {text}: {part.strip()!r} has no number of devices. "
                f"Write it like {_EXAMPLE}"
            )
        if name in sizes:
            raise errors.UserError(f"--mesh {text}: {name} occurs twice. Name it once")
        sizes[name] = int(number)
    if {"heads", "model"} <= sizes.keys():
        raise errors.UserError(
            f"--mesh {text}: model splits the heads, too. Leave heads out, or model"
        )
    split = next((name for name in ("heads", "model") if name in sizes), None)
    return MeshOption(sizes.get("data", 1), split, sizes.get(split or "", 1))
