"""What gin can configure in Mesh, T5 and this package, read from their source without running it.

Importing those packages loads TensorFlow and takes many seconds; parsing the files that mention
`gin.configurable` takes a fraction of one, which is what lets a misspelt binding end a command at
once.
"""

import ast
import dataclasses
import functools
import importlib.machinery
import importlib.util
import os
import pathlib
from collections.abc import Iterable, Iterator

from mtf_synthesizer import errors
from mtf_synthesizer.config import old_selectors
from mtf_synthesizer.files import paths

# The packages whose configurables a T5 configuration can name. Only these subtrees are read.
SCANNED = ("mesh_tensorflow", "t5.data", "t5.models", "mtf_synthesizer")
_DECORATORS = {"configurable", "register"}


@dataclasses.dataclass(frozen=True)
class Configurable:
    """A function or class that gin can bind parameters of.

    Attributes:
      selector: module and name, e.g. mesh_tensorflow.optimize.AdafactorOptimizer.
      parameters: the names gin accepts; None where it accepts any (`**kwargs`, unreadable bases).
    """

    selector: str
    parameters: frozenset[str] | None

    @property
    def name(self) -> str:
        return self.selector.rpartition(".")[2]

    def matches(self, selector: str) -> bool:
        """Whether a selector in a gin file, which may leave leading modules out, means this."""
        selector = old_selectors.current(selector)
        return self.selector == selector or self.selector.endswith("." + selector)


def known(modules: Iterable[str]) -> tuple[list[Configurable], bool]:
    """The configurables of the packages and of further modules, and whether these are all.

    A module that can't be read may define anything.

    Raises:
      errors.UserError: a file of the modules is no Python.
    """
    others = [module for module in modules if not _is_scanned(module)]
    return [*of_packages(), *scan(others)], all(source_of(module) for module in others)


@functools.cache
def of_packages() -> list[Configurable]:
    """The configurables of `SCANNED`."""
    return scan(SCANNED)


def _is_scanned(module: str) -> bool:
    return any(module == name or module.startswith(name + ".") for name in SCANNED)


def scan(modules: Iterable[str]) -> list[Configurable]:
    """The configurables of the given modules and packages; those not found are left out.

    Raises:
      errors.UserError: a file of theirs is no Python.
    """
    sources = [source for module in modules for source in _sources(module)]
    trees = [(name, _tree(path)) for name, path in sources]
    classes = {
        node.name: node for _, tree in trees for node in tree.body if isinstance(node, ast.ClassDef)
    }
    return [
        Configurable(selector, _parameters(node, classes))
        for module, tree in trees
        for node in _definitions(tree)
        for selector in _selectors(module, node)
    ]


def _tree(path: pathlib.Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError) as error:
        raise errors.UserError(f"{path} is no Python: {error}") from error


def _definitions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Functions, classes and methods: Mesh has methods that gin configures, as decode."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node
        if isinstance(node, ast.ClassDef):
            yield from (method for method in node.body if isinstance(method, ast.FunctionDef))


def source_of(module: str) -> pathlib.Path | None:
    """The file or folder a module comes from, found without importing any part of it."""
    top, *rest = module.split(".")
    try:
        # A user's own are looked for in the working directory, too.
        here = importlib.machinery.PathFinder.find_spec(top, [os.getcwd()])
        spec = importlib.util.find_spec(top) or here
    except ValueError:  # no name that a module can have
        return None
    if spec is None:
        return None
    if not rest:
        # A module may also be built into Python, frozen, or compiled.
        places = spec.submodule_search_locations or [spec.origin or ""]
        return next((path for path in map(pathlib.Path, places) if _is_source(path)), None)
    for place in spec.submodule_search_locations or []:
        path = pathlib.Path(place, *rest)
        if path.is_dir():
            return path
        if path.with_suffix(".py").is_file():
            return path.with_suffix(".py")
    return None


def _is_source(path: pathlib.Path) -> bool:
    return path.is_dir() or (path.suffix == ".py" and path.is_file())


def _sources(module: str) -> Iterator[tuple[str, pathlib.Path]]:
    """(module name, file) of every file in a module or package that uses gin."""
    place = source_of(module)
    if place is None:
        return
    files = paths.matching_below(place, "*.py") if place.is_dir() else [place]
    for file in map(pathlib.Path, files):
        parts = file.relative_to(place).with_suffix("").parts if place.is_dir() else ()
        if not file.stem.endswith("_test") and b"gin." in file.read_bytes():
            yield ".".join((module, *(part for part in parts if part != "__init__"))), file


def _selectors(module: str, node: ast.FunctionDef | ast.ClassDef) -> Iterator[str]:
    """The names under which a definition is registered with gin: none, or one for a decorator."""
    for decorator in node.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        target = call.func if call else decorator
        if not (
            isinstance(target, ast.Attribute)
            and target.attr in _DECORATORS
            and isinstance(target.value, ast.Name)
            and target.value.id == "gin"
        ):
            continue
        given = {
            keyword.arg: keyword.value.value
            for keyword in (call.keywords if call else [])
            if isinstance(keyword.value, ast.Constant)
        }
        if call and call.args and isinstance(call.args[0], ast.Constant):
            given["name"] = call.args[0].value
        yield f"{given.get('module', module)!s}.{given.get('name', node.name)!s}"


def _parameters(
    node: ast.FunctionDef | ast.ClassDef, classes: dict[str, ast.ClassDef]
) -> frozenset[str] | None:
    """Parameter names of a function, or of the constructor a class has or inherits."""
    if isinstance(node, ast.FunctionDef):
        arguments = node.args
        if arguments.kwarg:
            return None
        named = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        return frozenset(argument.arg for argument in named) - {"self"}
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
            return _parameters(statement, classes)
    for base in node.bases:
        name = base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
        if name in {"object", "ABC"}:
            continue
        if name not in classes or name == node.name:
            return None
        return _parameters(classes[name], classes)
    return frozenset()
