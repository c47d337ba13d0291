"""Shims for symbols that current libraries dropped and T5, Mesh and the Estimator still need.

Further shims restore a protobuf symbol for tensorflow_datasets and work around a bug of gin-config
in working directories that contain certain folders.

`import mtf_synthesizer.runtime.compat` before any import of t5, mesh_tensorflow or seqio. The
docstring of each shim names the symbol and the TensorFlow release that dropped the symbol. A shim
does nothing if the symbol exists. Importing this module is therefore safe on every supported
release, and more than once.

No function body of a library is replaced; `literal_paths` wraps TensorFlow's functions that take
folders for patterns. TPUs need TensorFlow 2.12 to 2.15, which still have the real TPU modules.
"""

import importlib
import importlib.util
import pathlib
import sys
import types
from collections.abc import Callable
from typing import Any, NoReturn

from mtf_synthesizer.errors import UserError
from mtf_synthesizer.runtime import literal_paths, precision

OLDEST = (2, 12)
NEWEST = (2, 21)
# The release that setup.py requires.
DATASETS_REPAIR = "pip install --force-reinstall --no-deps tensorflow-datasets==4.9.3"


class UnsupportedInstallationError(ImportError, UserError):
    """Incompatible installed packages; the message names the command that repairs them."""


def _load(name: str) -> Any:
    return importlib.import_module(name)


def _exists(name: str) -> bool:
    """Return whether module `name` is loaded or can be; import its parent package at most."""
    if name in sys.modules:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _removed(symbol: str, instead: str) -> Callable[..., NoReturn]:
    def fail(*unused_args: Any, **unused_kwargs: Any) -> NoReturn:
        raise NotImplementedError(f"{symbol} is not available here: {instead}")

    return fail


def _install_module(name: str, module: types.ModuleType) -> None:
    """Make `import name` and `from parent import leaf` return `module`."""
    parent, _, leaf = name.rpartition(".")
    sys.modules[name] = module
    setattr(_load(parent), leaf, module)


def _stand_in(name: str, **attributes: Any) -> None:
    """Register a small module under `name` unless the real module exists."""
    if _exists(name):
        return
    module = types.ModuleType(name, f"Stand-in for {name}, made by {__name__}.")
    vars(module).update(attributes)
    _install_module(name, module)


# Checks -----------------------------------------------------------------------------------------


def check_tensorflow(version: str) -> None:
    """Raise UnsupportedInstallationError unless `version` is a supported TensorFlow release."""
    major, minor = (int(part) for part in version.split(".")[:2])
    if OLDEST <= (major, minor) <= NEWEST:
        return
    oldest, newest = (".".join(map(str, release)) for release in (OLDEST, NEWEST))
    raise UnsupportedInstallationError(
        f"TensorFlow {version} is installed, but mtf_synthesizer works with {oldest} to {newest}: "
        f"pip install 'tensorflow=={newest}.*' 'tensorflow-text=={newest}.*'"
    )


def check_datasets() -> None:
    """Raise UnsupportedInstallationError if tensorflow_datasets is missing or incomplete.

    The remains of a removed package still import, and fail much later.
    """
    spec = importlib.util.find_spec("tensorflow_datasets")
    if spec is None:
        raise UnsupportedInstallationError(
            f"The module tensorflow_datasets is missing: {DATASETS_REPAIR}"
        )
    for folder in spec.submodule_search_locations or ():
        if all((pathlib.Path(folder) / part).exists() for part in ("__init__.py", "core")):
            return
    raise UnsupportedInstallationError(
        "The folder tensorflow_datasets is incomplete: the packages tensorflow-datasets and "
        "tfds-nightly both write it, and removing one takes files of the other along. Repair it "
        f"with: {DATASETS_REPAIR}"
    )


# Shims ------------------------------------------------------------------------------------------


def restore_tensor_conversion() -> None:
    """Restore `framework.ops.register_tensor_conversion_function`, moved in TensorFlow 2.13.

    mesh_tensorflow.tpu_variables needs the function.
    """
    ops = _load("tensorflow.python.framework.ops")
    if hasattr(ops, "register_tensor_conversion_function"):
        return
    registry = _load("tensorflow.python.framework.tensor_conversion_registry")
    ops.register_tensor_conversion_function = registry.register_tensor_conversion_function


def restore_estimator_export() -> None:
    """Restore `tf_export.ESTIMATOR_API_NAME` and its API_ATTRS, removed in TensorFlow 2.16.

    tensorflow_estimator.python.estimator.estimator_export needs them.
    """
    tf_export = _load("tensorflow.python.util.tf_export")
    if hasattr(tf_export, "ESTIMATOR_API_NAME"):
        return
    tf_export.ESTIMATOR_API_NAME = "estimator"
    for table, suffix in ((tf_export.API_ATTRS, ""), (tf_export.API_ATTRS_V1, "_v1")):
        table["estimator"] = tf_export._Attributes(
            f"_estimator_api_names{suffix}", f"_estimator_api_constants{suffix}"
        )


def restore_estimator_training() -> None:
    """Restore `tensorflow.python.distribute.estimator_training`, removed in TensorFlow 2.16.

    On every call the Estimator asks this module whether to run a distribute coordinator: no.
    """
    name = "tensorflow.python.distribute.estimator_training"
    instead = "distribution strategies need TensorFlow 2.12 to 2.15"
    functions = (
        "init_run_config",
        "train_and_evaluate",
        "estimator_train",
        "estimator_evaluate",
    )
    _stand_in(
        name,
        should_run_distribute_coordinator=lambda config: False,
        **{function: _removed(f"{name}.{function}", instead) for function in functions},
    )


def restore_tpu_modules() -> None:
    """Restore `tpu.{session_support, tpu_embedding_gradient, tpu_embedding}` (until 2.15).

    TensorFlow 2.16 removed them. The TPUEstimator imports them everywhere but uses them on TPUs
    only; it compares classes of tpu_embedding.
    """
    _stand_in("tensorflow.python.tpu.session_support")
    _stand_in("tensorflow.python.tpu.tpu_embedding_gradient")
    name = "tensorflow.python.tpu.tpu_embedding"
    optimizers = (
        "AdagradParameters",
        "AdamParameters",
        "FtrlParameters",
        "MomentumParameters",
        "ProximalAdagradParameters",
        "RMSPropParameters",
        "StochasticGradientDescentParameters",
    )
    instead = "TPUs need TensorFlow 2.12 to 2.15"
    _stand_in(
        name,
        **{
            optimizer: type(optimizer, (), {"__init__": _removed(f"{name}.{optimizer}", instead)})
            for optimizer in optimizers
        },
    )


def restore_tpu_estimator() -> None:
    """Restore `tensorflow.python.tpu.{tpu_config, tpu_estimator}`, removed in TensorFlow 2.16.

    mesh_tensorflow.transformer.utils imports them; the tensorflow-estimator wheel has the code.
    """
    for leaf in ("tpu_config", "tpu_estimator"):
        name = f"tensorflow.python.tpu.{leaf}"
        if not _exists(name):
            source = f"tensorflow_estimator.python.estimator.tpu.{leaf}"
            _install_module(name, _load(source))


def restore_estimator_api() -> None:
    """Restore `tf.estimator` and `tf.compat.v1.estimator`, removed in TensorFlow 2.16.

    `tensorflow.compat.v1` gets the attribute too, because this module may be another object than
    `tf.compat.v1`.
    """
    tf = _load("tensorflow")
    v1_module = _load("tensorflow.compat.v1")
    for owner, api in ((tf, "v2"), (tf.compat.v1, "v1"), (v1_module, "v1")):
        if not hasattr(owner, "estimator"):
            owner.estimator = _load(f"tensorflow_estimator._api.{api}.estimator")


def stand_in_for_hf_model() -> None:
    """Replace `t5.models.hf_model` on every TensorFlow if PyTorch is not installed.

    `import t5.models` loads hf_model, which loads torch: several GB that TensorFlow never uses.
    """
    if _exists("torch") or "t5.models.hf_model" in sys.modules:
        return
    module = types.ModuleType("t5.models.hf_model", f"Stand-in made by {__name__}.")
    fail = _removed("t5.models.HfPyTorchModel", "it needs PyTorch (pip install torch)")
    vars(module)["HfPyTorchModel"] = type("HfPyTorchModel", (), {"__init__": fail})
    # _install_module would import t5.models, which needs this stand-in first.
    sys.modules[module.__name__] = module


def restore_field_label() -> None:
    """Restore `FieldDescriptor.label`, removed in protobuf 7, which TensorFlow 2.21 requires.

    tensorflow_datasets needs the property to read any prepared data set.
    """
    descriptor = _load("google.protobuf.descriptor_pb2").FileDescriptorProto.DESCRIPTOR
    kind = type(descriptor.fields[0])
    if not hasattr(kind, "label"):
        kind.label = property(_field_label)


def _field_label(field: Any) -> int:
    if field.is_repeated:
        return field.LABEL_REPEATED
    return field.LABEL_REQUIRED if field.is_required else field.LABEL_OPTIONAL


def tolerate_folders_named_like_gin_paths() -> None:
    """Let gin-config 0.5.0 parse `runs/pretrain.gin` beside a folder `runs`.

    gin looks for files inside packages too. A folder without `__init__.py` in the working
    directory (`runs/`, `models/`) is a namespace package, whose `spec.origin` is None. The search
    then ends in a TypeError instead of trying the next place.
    """
    readers = _load("gin.config")._FILE_READERS
    reader_module = _load("gin.resource_reader")
    system_reader = (reader_module.system_path_reader, reader_module.system_path_file_exists)
    if system_reader not in readers:
        return

    def exists(path: str) -> bool:
        try:
            return system_reader[1](path)
        except TypeError:
            return False

    readers[readers.index(system_reader)] = (system_reader[0], exists)


# The order matters: the later shims import tensorflow_estimator, which needs the earlier shims.
SHIMS = (
    restore_tensor_conversion,
    restore_estimator_export,
    restore_estimator_training,
    restore_tpu_modules,
    restore_tpu_estimator,
    restore_estimator_api,
    stand_in_for_hf_model,
    restore_field_label,
    tolerate_folders_named_like_gin_paths,
    literal_paths.install,
)


def apply() -> None:
    """Check the installation, then install the shims; a second call changes nothing.

    Raises:
      UnsupportedInstallationError: TensorFlow is not one of the supported releases, or
        tensorflow_datasets is missing or incomplete.
      UserError: $MTF_SYNTHESIZER_MATMUL_PRECISION can't be followed.
    """
    precision.choose_from_environment()
    tf = _load("tensorflow")
    check_tensorflow(tf.__version__)
    check_datasets()
    for shim in SHIMS:
        shim()


apply()
