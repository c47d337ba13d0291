"""Settings of `bench`: shapes, rows, and the options that all rows of a run share.

This module does not load TensorFlow, so mistakes are reported at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from mtf_synthesizer.errors import UserError, check


@dataclasses.dataclass(frozen=True)
class Size:
    """The shape of a benchmark's model and batch."""

    d_model: int
    d_ff: int
    num_heads: int
    d_kv: int
    num_layers: int
    vocabulary: int
    batch: int
    inputs_length: int
    targets_length: int


SIZES = {
    "tiny": Size(64, 128, 4, 16, 2, 512, 4, 64, 32),
    # The vocabulary is small, so that the layers dominate and not the embedding.
    "small": Size(512, 2048, 8, 64, 2, 512, 8, 512, 114),
    "small-32k": Size(512, 2048, 8, 64, 2, 32128, 8, 512, 114),
    "t5-small": Size(512, 2048, 8, 64, 6, 32128, 8, 512, 114),
    "t5-base": Size(768, 3072, 12, 64, 12, 32128, 8, 512, 114),
    # Encoders of Table 7, as in gin/experiments/table7_imdb.gin, with a quarter of its batch.
    "imdb": Size(256, 1024, 4, 64, 4, 32128, 8, 1000, 1000),
}

# Row -> its self-attention; `rows.layers` builds the layers.
ROWS = {
    "stock": "T5's own layer in T5's own program, float32: what t5_mesh_transformer runs",
    "stock-mesh-r": "R of the public Synthesizer layer in the same program",
    "t5": "T5's own layer, with its relative position bias",
    "t5-nobias": "T5's own layer without the bias",
    "none": "values and output projection alone, no mixing of positions: the limit",
    "mesh-r": "R of the public Synthesizer layer",
    "mesh-d": "D of the public Synthesizer layer",
    "mesh-rv": "R+V of the public Synthesizer layer",
    "mesh-dv": "D+V of the public Synthesizer layer",
    "mesh-lightconv": "the public lightweight convolution",
    "mesh-dynconv": "the public dynamic convolution",
    "lightconv": "our lightweight convolution",
    "dynconv": "our dynamic convolution",
    "linformer": "Linformer in the encoder, T5's own layer in the decoder",
    "mixer": "token mixing of an MLP-Mixer, R without the softmax",
    "universal": "Universal Transformer: one block of T5's layers, applied 25 times",
    "raganato": "7 heads with fixed patterns and a dot product in the encoder, T5's in the decoder",
    "v": "our dot product",
    "r": "R",
    "fix": "Fix",
    "fr": "FR",
    "d": "D",
    "fd": "FD",
    "banded": "R for the nearest tokens",
    "toeplitz": "a weight for each distance",
    "uniform": "the mean of all visible values",
    "bias": "T5's relative position bias alone",
    "rv": "R+V",
    "dv": "D+V",
    "frv": "FR+V",
    "frd": "FR+D",
    "rd": "R+D",
    "rdv": "R+D+V",
    "r_plus_v": "R+V, a plain sum as in Table 4",
    "d_plus_v": "D+V, a plain sum as in Table 4",
    "heads_rv": "R in half of the heads, V in the others",
}
# Rows of T5's own program -> the row with the same layer in ours.
STOCK = {"stock": "t5", "stock-mesh-r": "mesh-r"}

# Rows of the public layer's tables, whatever the length.
_PUBLIC_LENGTH = 512
PUBLIC_TABLES = ("mesh-r", "mesh-d", "mesh-rv", "mesh-dv", "stock-mesh-r")

BEAMS = 4  # as the paper decodes
MODES = {
    "train": "training step",
    "evaluate": "evaluation step",
    "greedy": "greedy decoding",
    "beam": f"decoding with {BEAMS} beams",
}
DECODING = ("greedy", "beam")
STEP = "step"  # the part of a step that is the whole step


@dataclasses.dataclass(frozen=True)
class Setting:
    """The options that all rows of a run share.

    Attributes:
      size: shape of model and batch.
      mode: kind of step, one of `MODES`.
      packed: sequences packed into each row of the batch; 0 for rows that are not packed.
      dropout: dropout rate wherever T5 has dropout.
      threads: CPU threads that TensorFlow may use; 0 for all.
      gathered: whether embeddings are looked up, as local_cpu.gin has it, or multiplied by
        one-hot rows, as Mesh has it.
      fast: whether attention, norms and Adafactor are those of fast_cpu.gin.
      token_loss: whether the loss is that of local_cpu.gin.
      encoder_only: whether the model is an encoder with a target for each input token.
    """

    size: Size
    mode: str = "train"
    packed: int = 0
    dropout: float = 0.1
    threads: int = 0
    gathered: bool = False
    fast: bool = False
    token_loss: bool = False
    encoder_only: bool = False

    @property
    def as_trained(self) -> Setting:
        """The setting with the program that `train` has by default (local_cpu.gin)."""
        return dataclasses.replace(self, gathered=True, fast=True, token_loss=True)

    @property
    def as_stock(self) -> Setting:
        """The setting with T5's and Mesh's own program."""
        return dataclasses.replace(self, gathered=False, fast=False, token_loss=False)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Setting:
        """The inverse of dataclasses.asdict."""
        return cls(**values | {"size": Size(**values["size"])})

    def check(self, rows: Sequence[str]) -> None:
        """Check rows and numbers before anything is built.

        Raises:
          UserError: an unknown row or mode, or a number out of range.
        """
        for row in rows:
            check("row", row, ROWS)
        check("mode", self.mode, MODES)
        self._check_packed()
        self._check_kind(rows)
        if not 0 <= self.dropout < 1:
            raise UserError(f"--dropout is {self.dropout}; it must be in [0, 1)")
        if self.threads < 0:
            raise UserError(f"--threads is {self.threads}; it must be positive, or 0 for all")
        self._check_tables(rows)

    def _check_packed(self) -> None:
        if not 0 <= self.packed <= self.size.targets_length:
            raise UserError(
                f"--packed is {self.packed}; a row of {self.size.targets_length} tokens holds 0 "
                f"to {self.size.targets_length} sequences"
            )
        if self.packed and self.mode in DECODING:
            raise UserError(
                f"--packed is {self.packed}, but decoding takes one sequence a row. Omit --packed, "
                "or use --mode train or evaluate"
            )

    def _check_kind(self, rows: Sequence[str]) -> None:
        if self.encoder_only and self.mode in DECODING:
            raise UserError(
                f"--encoder_only: an encoder does not decode; take --mode train or evaluate, not "
                f"{self.mode}"
            )
        if "universal" in rows and self.mode in DECODING:
            raise UserError(f"universal is not measured with --mode {self.mode}; leave it out")

    def _check_tables(self, rows: Sequence[str]) -> None:
        longest = max(self.size.inputs_length, self.size.targets_length)
        short = [row for row in rows if row in PUBLIC_TABLES]
        if short and longest > _PUBLIC_LENGTH:
            raise UserError(
                f"{', '.join(short)}: tables of the public layer have {_PUBLIC_LENGTH} rows, too "
                f"few for {longest} tokens. Omit these names from --rows"
            )
