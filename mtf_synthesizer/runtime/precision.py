"""Precision of matrix products: float32, or bfloat16 if the CPU has bfloat16 instructions.

A CPU with bfloat16 instructions multiplies bfloat16 numbers two to eight times as fast as float32
numbers. Like TPUs by default, it sums the products in float32. Variables, activations, sums and
checkpoints stay float32.

oneDNN, TensorFlow's library of products, reads its mode once, when TensorFlow loads. The precision
therefore belongs to a process and is set before TensorFlow is imported. The environment holds it
for child processes.
"""

from __future__ import annotations

import os
import pathlib
import sys

from mtf_synthesizer.errors import UserError, check

VARIABLE = "MTF_SYNTHESIZER_MATMUL_PRECISION"
AUTO, FLOAT32, BFLOAT16 = CHOICES = ("auto", "float32", "bfloat16")
FLAG = "--matmul_precision"

# This mode makes oneDNN multiply float32 matrices in bfloat16, on CPUs with AMX only.
_FAST_MODE = {"ONEDNN_DEFAULT_FPMATH_MODE": "BF16", "TF_SET_ONEDNN_FPMATH_MODE": "BF16"}
_AMX = "amx_bf16"
_INSTRUCTIONS = (_AMX, "avx512_bf16")
_PROCESSOR = pathlib.Path("/proc/cpuinfo")

_NOTICE = (
    "mtf_synthesizer: the run was begun with bfloat16 products, whose instructions this processor "
    "lacks; it is resumed with float32 products"
)

# Precision with which this process loads TensorFlow, once chosen.
_chosen: str | None = None


def instructions() -> tuple[str, ...]:
    """Return the bfloat16 instructions of this CPU, named as in /proc/cpuinfo, fastest first."""
    try:
        lines = _PROCESSOR.read_text().splitlines()
    except OSError:  # not Linux
        return ()
    flags = next((line.split(":")[1].split() for line in lines if line.startswith("flags")), [])
    return tuple(name for name in _INSTRUCTIONS if name in flags)


def resolve(asked: str, source: str = FLAG) -> str:
    """Return the precision, "float32" or "bfloat16", that a request means on this CPU.

    Args:
      asked: one of `CHOICES`.
      source: the flag or variable that asks, for messages.

    Raises:
      UserError: an unknown choice, or bfloat16 on a CPU without the instructions.
    """
    check(source, asked, CHOICES)
    if asked == AUTO:
        return BFLOAT16 if instructions() else FLOAT32
    if asked == BFLOAT16 and not instructions():
        raise UserError(
            f"{source} {asked}: this processor has neither {' nor '.join(_INSTRUCTIONS)}. "
            f"Take {FLOAT32} or {AUTO}."
        )
    return asked


def choose(asked: str, source: str = FLAG) -> str:
    """Set the precision of this process and its children; call it before TensorFlow is imported.

    Args:
      asked: one of `CHOICES`; `auto` keeps the precision of a process that has loaded TensorFlow.
      source: the flag or variable that asks, for messages.

    Returns:
      "float32" or "bfloat16".

    Raises:
      UserError: see `resolve`; or TensorFlow has been loaded with another precision.
    """
    global _chosen
    precision = resolve(asked, source)
    if "tensorflow" in sys.modules and precision != current():
        if asked == AUTO:
            return current()
        raise UserError(
            f"{source} {asked}: TensorFlow has been loaded with {current()} products. "
            f"Set {VARIABLE}={precision} before Python starts."
        )
    for name, value in _FAST_MODE.items():
        if precision == BFLOAT16:
            os.environ[name] = value
        else:
            os.environ.pop(name, None)
    os.environ[VARIABLE] = _chosen = precision
    return precision


def choose_for_command(asked: str | None, kept: str | None = None) -> str:
    """Call `choose` with the flag, else with the environment variable, else with `auto`.

    Args:
      asked: value of the flag, or None.
      kept: precision of a resumed run, which stays; None without one. If the CPU lacks the
        instructions for it, a notice is printed and float32 is used.

    Returns:
      "float32" or "bfloat16".

    Raises:
      UserError: see `choose`; or the resumed run has another precision.
    """
    source = VARIABLE if asked is None else FLAG
    asked = asked or os.environ.get(VARIABLE) or AUTO
    if kept is None:
        return choose(asked, source)
    check(source, asked, CHOICES)
    if kept == BFLOAT16 and not instructions():
        if asked == BFLOAT16:
            resolve(asked, source)  # raises the error with the reason
        print(_NOTICE, file=sys.stderr)
        return choose(FLOAT32, source)
    if asked not in (AUTO, kept):
        raise UserError(f"{source} {asked}: the run was begun in {kept}. Leave it out to resume.")
    return choose(kept, source)


def check_kept(kept: str | None) -> None:
    """Check that this process has the precision of the run that it resumes.

    Raises:
      UserError: the precision differs, although the CPU supports the run's.
    """
    if kept in (None, current()) or (kept == BFLOAT16 and not instructions()):
        return
    raise UserError(
        f"the run was begun with {kept} products and this process has {current()}. "
        f"Set {VARIABLE}={kept} before Python starts."
    )


def choose_from_environment() -> None:
    """Call `choose` with the environment variable, unless it is unset or the choice is made.

    Raises:
      UserError: see `choose`.
    """
    asked = os.environ.get(VARIABLE)
    if _chosen is None and asked:
        choose(asked, VARIABLE)


def current() -> str:
    """Return the precision of this process: "float32" or "bfloat16"."""
    return _chosen or FLOAT32


def needs_casts() -> bool:
    """Return whether products are bfloat16 only if their operands are.

    oneDNN itself converts float32 operands on CPUs with AMX, and ignores its mode elsewhere.
    """
    return current() == BFLOAT16 and _AMX not in instructions()
