"""The process that measures T5 of transformers, with PyTorch, as `processes` asks it to.

It runs by its path in an environment with torch and transformers alone, so it imports nothing of
this package.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import Adafactor, T5Config, T5ForConditionalGeneration

_BFLOAT16 = os.environ.get("MTF_SYNTHESIZER_MATMUL_PRECISION") == "bfloat16"
_BEAMS = {"greedy": 1, "beam": 4}


class Row:
    """A random T5 of a setting's shape, its random batch and Adafactor.

    Args:
      setting: as JSON: size, mode, dropout and threads.
    """

    def __init__(self, setting: dict[str, Any]):
        self.size, self.mode = setting["size"], setting["mode"]
        if setting["threads"]:
            torch.set_num_threads(setting["threads"])
        torch.manual_seed(0)
        self.model = T5ForConditionalGeneration(_config(self.size, setting["dropout"]))
        self.model.train(self.mode == "train")
        self.optimizer = Adafactor(
            self.model.parameters(), lr=1e-3, relative_step=False, warmup_init=False
        )
        self.inputs = self._tokens(self.size["inputs_length"])
        self.targets = self._tokens(self.size["targets_length"])

    def _tokens(self, length: int) -> torch.Tensor:
        return torch.randint(2, self.size["vocabulary"], (self.size["batch"], length))

    def run(self, part: str) -> None:
        """Run a step of the mode, or the part of a training step up to its end."""
        products = torch.autocast("cpu", torch.bfloat16) if _BFLOAT16 else contextlib.nullcontext()
        with products:
            if self.mode in _BEAMS:
                self._decode(_BEAMS[self.mode])
                return
            with torch.set_grad_enabled(self.mode == "train"):
                loss = self.model(input_ids=self.inputs, labels=self.targets).loss
        if self.mode != "train" or part == "forward":
            return
        loss.backward()
        if part != "backward":
            self.optimizer.step()
        self.optimizer.zero_grad()

    def _decode(self, beams: int) -> None:
        with torch.no_grad():
            self.model.generate(
                self.inputs,
                num_beams=beams,
                do_sample=False,
                min_new_tokens=self.size["targets_length"],
                max_new_tokens=self.size["targets_length"],
            )


def _config(size: dict[str, int], dropout: float) -> T5Config:
    return T5Config(
        vocab_size=size["vocabulary"],
        d_model=size["d_model"],
        d_kv=size["d_kv"],
        d_ff=size["d_ff"],
        num_layers=size["num_layers"],
        num_heads=size["num_heads"],
        dropout_rate=dropout,
        feed_forward_proj="relu",
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
    )


_rows: list[Row] = []


def _machine() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("torch", "transformers")}


def _build(row: str, setting: dict[str, Any]) -> dict[str, Any]:
    del row  # the only one
    built = Row(setting)
    _rows.append(built)
    tokens = built.size["batch"] * built.size["targets_length"]
    return {
        "number": len(_rows) - 1,
        "parameters": sum(parameter.numel() for parameter in built.model.parameters()),
        "flops": None,
        "tokens": tokens if built.mode in _BEAMS else 0,
        "cache_bytes": 0,
    }


def _run(number: int, part: str) -> dict[str, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    _rows[number].run(part)
    return {
        "cpu_ms": 1e3 * (time.process_time() - cpu),
        "wall_ms": 1e3 * (time.perf_counter() - wall),
    }


def _operations(number: int) -> dict[str, float]:
    del number
    return {}  # TensorFlow's operations are traced, not PyTorch's


def _clear() -> None:
    _rows.clear()


_ACTIONS: dict[str, Callable[..., Any]] = {
    "machine": _machine,
    "build": _build,
    "run": _run,
    "operations": _operations,
    "clear": _clear,
}


def _main() -> None:
    """Answer line by line until the input ends; only answers go to standard output."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        [(action, arguments)] = json.loads(line).items()
        try:
            reply = {"answer": _ACTIONS[action](**arguments)}
        except Exception as error:  # whatever it is, the other process names the row
            reply = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
        print(json.dumps(reply), file=answers, flush=True)


if __name__ == "__main__":
    _main()
