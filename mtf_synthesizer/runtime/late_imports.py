"""Loads late what T5, seqio, TensorFlow and the Estimator import but a training step never uses.

`install()` before TensorFlow is imported; it changes when code is loaded, never which code. Two
kinds of modules are put off until something uses them:

- LATE packages with all their submodules run when an attribute is asked for. T5's metrics import
  nltk, scikit-learn and SciPy, Keras imports matplotlib and scikit-learn, and so on.
- API_INDEXES are packages that hold little but `from implementation import Name`. Each name is
  imported when it is used, so that `tf.estimator.ModeKeys` does not load every canned estimator
  and with them Keras, nor `import tensorflow` the converter of `tf.lite`.
"""

import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import re
import sys
import threading
import types
from collections.abc import Callable, Sequence
from typing import Any

LATE = frozenset(
    {
        "h5py",
        "keras",
        "matplotlib",
        "nltk",
        "pandas",
        "sacrebleu",
        "scipy",
        "scipy.stats",
        "sklearn",
        "tensorflow_datasets.core.as_dataframe",
        "tensorflow_text.python.keras",
        "transformers",
    }
)
# Looked at but not called while T5 and tensorflow_datasets are imported.
LATE_FUNCTIONS = frozenset(
    {
        ("sklearn.metrics", "fbeta_score"),
        ("sklearn.metrics", "matthews_corrcoef"),
        ("tensorflow_datasets.core.as_dataframe", "as_dataframe"),
    }
)
API_INDEXES = re.compile(
    r"tensorflow_estimator\._api\.v[12]\.estimator(\..+)?"
    r"|tensorflow\._api\.v2\.(compat\.v[12]\.compat|(compat\.v[12]\.)?lite)(\..+)?"
)

_LOCK = threading.RLock()
_RUNNING: dict[str, types.ModuleType] = {}  # late modules whose ordinary import is under way


class LateModule(types.ModuleType):
    """A module whose code runs when an attribute is asked for that the import system didn't set."""

    def __getattr__(self, name: str) -> Any:
        if name == "__path__":  # how the import system tells a package: this is none
            raise AttributeError(f"module {self.__name__!r} is not a package")
        # `from package import submodule` need not run the package; T5 has such lines.
        if not name.startswith("__") and _is_submodule(self, name):
            return importlib.import_module(f"{self.__name__}.{name}")
        if (self.__name__, name) in LATE_FUNCTIONS:
            return _late_function(self, name)
        run(self)
        return getattr(sys.modules[self.__name__], name)


def _late_function(module: LateModule, name: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        run(module)
        return getattr(module, name)(*args, **kwargs)

    return call


class ApiIndex(LateModule):
    """A late package that knows, without running, where its names come from."""

    _sources: dict[str, tuple[str, str]]  # name -> module, symbol

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked for by inspect and the like, on every module there is
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if name not in self._sources:
            return super().__getattr__(name)
        module, symbol = self._sources[name]
        source = importlib.import_module(module)
        if source is self or not hasattr(source, symbol):
            value = importlib.import_module(f"{module}.{symbol}")
        else:
            value = getattr(source, symbol)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        return sorted({*vars(self), *self._sources})


def run(module: LateModule) -> None:
    """Imports a late module in the ordinary way, its late parents first, into the same objects.

    What lies below the outermost late parent is taken out of `sys.modules` meanwhile, so that
    every module runs in the order it would have run in; what did not run is late again after.
    """
    with _LOCK:
        if not isinstance(module, LateModule):  # another thread was faster
            return
        top = _outermost_late(module.__name__)
        taken: dict[str, tuple[types.ModuleType, type]] = {
            name: (found, type(found))
            for name, found in list(sys.modules.items())
            if (name == top or name.startswith(f"{top}.")) and isinstance(found, LateModule)
        }
        for name, (found, _) in taken.items():
            found.__class__ = types.ModuleType
            _RUNNING[name] = sys.modules.pop(name)
        try:
            importlib.import_module(module.__name__)
        finally:
            for name, (found, kind) in taken.items():
                _RUNNING.pop(name, None)
                if name not in sys.modules:  # not needed, or it failed
                    sys.modules[name] = found
                    found.__class__ = kind


def _outermost_late(name: str) -> str:
    parent = name.rpartition(".")[0]
    while parent and isinstance(sys.modules.get(parent), LateModule):
        name, parent = parent, parent.rpartition(".")[0]
    return name


class _LateLoader(importlib.abc.Loader):
    """Leaves the module empty."""

    def __init__(self, ordinary: importlib.machinery.SourceFileLoader):
        self.ordinary = ordinary

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return None  # an ordinary module: the import system asks it for attributes it lacks

    def exec_module(self, module: types.ModuleType) -> None:
        module.__class__ = LateModule


class _RunLoader(_LateLoader):
    """Fills the module that `run` took out, so that whoever holds it has the real thing."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _RUNNING.pop(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        assert module.__spec__ is not None
        module.__loader__ = module.__spec__.loader = self.ordinary
        self.ordinary.exec_module(module)


class _ApiIndexLoader(_LateLoader):
    """Reads the index instead of running it."""

    def exec_module(self, module: types.ModuleType) -> None:
        tree = ast.parse(self.ordinary.get_source(module.__name__) or "")
        vars(module)["_sources"] = _imported_names(tree, module.__name__)
        module.__class__ = ApiIndex


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: types.ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        loader: type[_LateLoader]
        if fullname in _RUNNING:
            loader = _RunLoader
        elif API_INDEXES.fullmatch(fullname):
            loader = _ApiIndexLoader
        elif fullname in LATE or type(sys.modules.get(fullname.rpartition(".")[0])) is LateModule:
            loader = _LateLoader
        else:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            return None  # missing, a namespace or a compiled module: nothing to put off
        spec.loader = loader(spec.loader)
        return spec


def _is_submodule(module: types.ModuleType, name: str) -> bool:
    path = vars(module).get("__path__")
    if path is None:
        return False
    return importlib.machinery.PathFinder.find_spec(f"{module.__name__}.{name}", path) is not None


def _imported_names(tree: ast.Module, package: str) -> dict[str, tuple[str, str]]:
    """Name -> (module, symbol) for every public `from module import symbol as name`."""
    found = {}
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom):
            relative = "." * statement.level + (statement.module or "")
            module = importlib.util.resolve_name(relative, package)
            for alias in statement.names:
                name = alias.asname or alias.name
                if not name.startswith("_"):
                    found[name] = (module, alias.name)
    return found


def install() -> None:
    """Puts the modules named above off from now on; those already loaded stay as they are."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
