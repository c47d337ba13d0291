"""Description of the environment for bug reports."""

import os
import platform
import sys
from typing import Any

import mtf_synthesizer.runtime.compat

import tensorflow.compat.v1 as tf

from mtf_synthesizer.config import gin_files
from mtf_synthesizer.files import paths
from mtf_synthesizer.inference import report
from mtf_synthesizer.runtime import precision
from mtf_synthesizer.studies.bench import machine
from mtf_synthesizer.tasks import verses_vocabulary

# Beginnings of the variables that change how a command runs; others may hold secrets.
_VARIABLES = (
    "MTF_SYNTHESIZER_",
    "TF_",
    "TFDS_",
    "XLA_",
    "CUDA_VISIBLE_DEVICES",
    "LD_LIBRARY_PATH",
    "OMP_",
    "ONEDNN_",
    "DNNL_",
    "XDG_CACHE_HOME",
    "PYTHONHASHSEED",
)


def describe() -> dict[str, dict[str, Any]]:
    """Return versions, machine, devices, folders and environment variables: title -> fields."""
    of_machine = machine.description()
    return {
        "versions": {**report.versions(), "platform": platform.platform()},
        "machine": {name: of_machine[name] for name in ("processor", "cores", "memory_mib")},
        "instructions": {
            "bfloat16": " ".join(precision.instructions()) or "none",
            "matmul_precision": precision.current(),
        },
        "devices": {
            device.name: device.device_type for device in tf.config.list_physical_devices()
        },
        "folders": {
            "package": str(paths.of(gin_files.__file__).parent.parent),
            "gin files": str(gin_files.gin_folder()),
            "vocabularies": str(verses_vocabulary.cache_directory()),
            "tensorflow_datasets": os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets"),
            "python": sys.executable,
        },
        "environment": {
            name: value for name, value in sorted(os.environ.items()) if name.startswith(_VARIABLES)
        },
    }
