"""The machine that figures are measured on: hardware, versions, and its fastest matrix product."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import platform
import time

import mtf_synthesizer.runtime.compat

import numpy as np
import tensorflow.compat.v1 as tf

from mtf_synthesizer import __version__
from mtf_synthesizer.runtime import precision

_SIDE = 2048  # rows and columns of the matrices: large enough to keep every thread busy
_PRODUCTS = 10


def description() -> dict[str, str | int | list[str] | None]:
    """Processor, cores, memory and versions."""
    return {
        "processor": _line("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": os.cpu_count(),
        "memory_mib": _memory_mib(),
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "mesh_tensorflow": importlib.metadata.version("mesh-tensorflow"),
        "numpy": np.__version__,
        "mtf_synthesizer": __version__,
        "matmul_precision": precision.current(),
        "bfloat16_instructions": list(precision.instructions()),
    }


def peak_gflops(threads: int) -> float:
    """Measure several large products of this process's precision; return the fastest.

    In bfloat16 all ways are tried: oneDNN multiplies batches of float32 matrices in bfloat16 on
    CPUs with AMX, and CPUs with AVX512-BF16 need bfloat16 operands.

    Args:
      threads: threads of the session; 0 for all.

    Returns:
      10^9 FLOPs a second.
    """
    with tf.Graph().as_default(), session(threads) as running:
        values = np.random.RandomState(0).normal(size=(2, _SIDE, _SIDE)).astype(np.float32)
        matrices = [tf.get_variable(f"matrix_{n}", initializer=x) for n, x in enumerate(values)]
        products = [tf.matmul(*matrices)]
        if precision.current() == precision.BFLOAT16:
            halves = [
                tf.get_variable(f"half_{n}", initializer=tf.cast(x, tf.bfloat16))
                for n, x in enumerate(values)
            ]
            batches = [matrix[tf.newaxis] for matrix in matrices]
            products += [tf.matmul(*batches), tf.matmul(*halves)]
        running.run(tf.global_variables_initializer())
        # The operation, so that the result is not copied.
        fastest = min(_fastest(running, product.op) for product in products)
        return 2e-9 * _SIDE**3 / fastest


def _fastest(running: tf.Session, product: tf.Operation) -> float:
    running.run(product)
    return min(_seconds(running, product) for _ in range(_PRODUCTS))


def session(threads: int) -> tf.Session:
    """A session on the CPU with the given number of threads; 0 for all."""
    return tf.Session(
        config=tf.ConfigProto(
            intra_op_parallelism_threads=threads,
            inter_op_parallelism_threads=threads,
            device_count={"GPU": 0},
        )
    )


def _seconds(running: tf.Session, operation: tf.Operation) -> float:
    start = time.perf_counter()
    running.run(operation)
    return time.perf_counter() - start


def _memory_mib() -> int | None:
    total = _line("/proc/meminfo", "MemTotal")
    return int(total.split()[0]) // 1024 if total else None


def _line(path: str, key: str) -> str | None:
    """The value of the first line `key : value` of a file in /proc; None without such a line."""
    file = pathlib.Path(path)
    for line in file.read_text().splitlines() if file.exists() else ():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None
