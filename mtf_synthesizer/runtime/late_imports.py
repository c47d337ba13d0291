"""Deferred imports of modules that T5, seqio, TensorFlow and the Estimator import but rarely use.

Call `install()` before TensorFlow is imported. It changes when code is loaded, never which code.
Two kinds of modules are deferred until their first use:

- LATE: packages that run, with all submodules, on the first attribute access. T5's metrics import
  nltk, scikit-learn and SciPy; Keras imports matplotlib and scikit-learn.
- API_INDEXES: packages that hold little but `from implementation import Name`. Each name is
  imported on first use. `tf.estimator.ModeKeys` then loads neither the canned estimators nor
  Keras, and `import tensorflow` does not load the converter of `tf.lite`.

`importlib.util.LazyLoader` in place of the first kind defers nothing: `from package import
submodule`, as T5 and TensorFlow write it, is an attribute access, which runs the package.
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
# Accessed but not called while T5 and tensorflow_datasets are imported.
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
    """A module whose code runs on the first access to an attribute that the import did not set."""

    def __getattr__(self, name: str) -> Any:
        if name == "__path__":  # its absence tells the import system: not a package
            raise AttributeError(f"module {self.__name__!r} is not a package")
        # `from package import submodule`, as in T5, need not run the package.
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
    """A deferred package that knows the sources of its names without running."""

    _sources: dict[str, tuple[str, str]]  # name -> module, symbol

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # inspect and others ask every module for such names
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
    """Import a deferred module, its deferred parents first, into the existing module objects.

    The modules below the outermost deferred parent leave `sys.modules` meanwhile, so that every
    module runs in its ordinary order. Modules that did not run are deferred again afterwards.
    """
    with _LOCK:
        if not isinstance(module, LateModule):  # another thread ran the module meanwhile
            return
        top = _outermost_late(module.__name__)
        taken: dict[str, tuple[types.ModuleType, type]] = {
            name: (existing, type(existing))
            for name, existing in list(sys.modules.items())
            if (name == top or name.startswith(f"{top}.")) and isinstance(existing, LateModule)
        }
        for name, (existing, _) in taken.items():
            existing.__class__ = types.ModuleType
            _RUNNING[name] = sys.modules.pop(name)
        try:
            importlib.import_module(module.__name__)
        finally:
            for name, (existing, kind) in taken.items():
                _RUNNING.pop(name, None)
                if name not in sys.modules:  # not needed, or its import failed
                    sys.modules[name] = existing
                    existing.__class__ = kind


def _outermost_late(name: str) -> str:
    parent = name.rpartition(".")[0]
    while parent and isinstance(sys.modules.get(parent), LateModule):
        name, parent = parent, parent.rpartition(".")[0]
    return name


class _LateLoader(importlib.abc.Loader):
    """Loader that leaves the module empty."""

    def __init__(self, ordinary: importlib.machinery.SourceFileLoader):
        self.ordinary = ordinary

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return None  # an ordinary module, which the import system asks for missing attributes

    def exec_module(self, module: types.ModuleType) -> None:
        module.__class__ = LateModule


class _RunLoader(_LateLoader):
    """Loader that fills the module object that `run` removed, so that references stay valid."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _RUNNING.pop(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        assert module.__spec__ is not None
        module.__loader__ = module.__spec__.loader = self.ordinary
        self.ordinary.exec_module(module)


class _ApiIndexLoader(_LateLoader):
    """Loader that reads the index instead of running it."""

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
            return None  # missing, a namespace or a compiled module: nothing to defer
        spec.loader = loader(spec.loader)
        return spec


def _is_submodule(module: types.ModuleType, name: str) -> bool:
    path = vars(module).get("__path__")
    if path is None:
        return False
    return importlib.machinery.PathFinder.find_spec(f"{module.__name__}.{name}", path) is not None


def _imported_names(tree: ast.Module, package: str) -> dict[str, tuple[str, str]]:
    """Map name -> (module, symbol) for every public `from module import symbol as name`."""
    sources = {}
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom):
            relative = "." * statement.level + (statement.module or "")
            module = importlib.util.resolve_name(relative, package)
            for alias in statement.names:
                name = alias.asname or alias.name
                if not name.startswith("_"):
                    sources[name] = (module, alias.name)
    return sources


def install() -> None:
    """Defer the modules above from now on; modules that are already loaded stay loaded."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
