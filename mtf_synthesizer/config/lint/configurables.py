"""Gin configurables of Mesh, T5 and this package, read from source without importing it.

Importing these packages loads TensorFlow, which takes many seconds. Parsing the files that mention
`gin.configurable` takes a fraction of a second, so that a misspelt binding ends a command at once.
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

# Packages whose configurables a T5 configuration can name; no others are read.
SCANNED = ("mesh_tensorflow", "t5.data", "t5.models", "mtf_synthesizer")
_DECORATORS = {"configurable", "register"}


@dataclasses.dataclass(frozen=True)
class Configurable:
    """A function or class whose parameters gin can bind.

    Attributes:
      selector: module and name, e.g. mesh_tensorflow.optimize.AdafactorOptimizer.
      parameters: accepted names; None if any is accepted (`**kwargs`, unreadable bases).
    """

    selector: str
    parameters: frozenset[str] | None

    @property
    def name(self) -> str:
        return self.selector.rpartition(".")[2]

    def matches(self, selector: str) -> bool:
        """Return whether a selector, perhaps without leading modules, means this configurable."""
        selector = old_selectors.current(selector)
        return self.selector == selector or self.selector.endswith("." + selector)


def known(modules: Iterable[str]) -> tuple[list[Configurable], bool]:
    """Return the configurables of the packages and of further modules, and whether these are all.

    An unreadable module may define anything.

    Raises:
      errors.UserError: a file of the modules is not valid Python.
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
    """Return the configurables of the given modules and packages; skip missing ones.

    Raises:
      errors.UserError: a file is not valid Python.
    """
    sources = [source for module in modules for source in _sources(module)]
    trees = [(name, _tree(path)) for name, path in sources]
    classes = _classes([tree for _, tree in trees])
    return [
        Configurable(selector, _parameters(node, classes))
        for module, tree in trees
        for node in _definitions(tree)
        for selector in _selectors(module, node)
    ]


def _classes(trees: list[ast.Module]) -> dict[str, ast.ClassDef]:
    """Return the classes of modules by name, with base classes that they import from `SCANNED`.

    A module of base classes may have no configurable, and is then not among the scanned ones.
    """
    classes: dict[str, ast.ClassDef] = {}
    imported: set[str] = set()
    while trees:
        own = [node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)]
        classes = {node.name: node for node in own} | classes
        bases = {_name(base) for node in own for base in node.bases}
        imports = {
            node.module or ""
            for tree in trees
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and _is_scanned(node.module or "")
            if (bases - classes.keys()).intersection(alias.name for alias in node.names)
        }
        files = [source_of(module) for module in sorted(imports - imported)]
        imported |= imports
        trees = [_tree(file) for file in files if file is not None and file.is_file()]
    return classes


def _name(expression: ast.expr) -> str:
    """Return the last part of a name, as of `abc.ABC`; "" for another expression."""
    return getattr(expression, "attr", getattr(expression, "id", ""))


def _tree(path: pathlib.Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), str(path))
    except (SyntaxError, ValueError) as error:
        raise errors.UserError(f"{path} is not valid Python: {error}") from error


def _definitions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.ClassDef]:
    """Yield functions, classes and methods: gin configures methods of Mesh too, as decode."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node
        if isinstance(node, ast.ClassDef):
            yield from (method for method in node.body if isinstance(method, ast.FunctionDef))


def source_of(module: str) -> pathlib.Path | None:
    """Return the file or folder of a module, without importing any part of it."""
    top, *rest = module.split(".")
    try:
        # A user's own modules may lie in the working directory.
        in_working_directory = importlib.machinery.PathFinder.find_spec(top, [os.getcwd()])
        spec = importlib.util.find_spec(top) or in_working_directory
    except ValueError:  # not a valid module name
        return None
    if spec is None:
        return None
    if not rest:
        # A module may also be built in, frozen or compiled.
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
    """Yield (module name, file) for every file in a module or package that uses gin."""
    place = source_of(module)
    if place is None:
        return
    files = paths.matching_below(place, "*.py") if place.is_dir() else [place]
    for file in map(pathlib.Path, files):
        parts = file.relative_to(place).with_suffix("").parts if place.is_dir() else ()
        if not file.stem.endswith("_test") and b"gin." in file.read_bytes():
            yield ".".join((module, *(part for part in parts if part != "__init__"))), file


def _selectors(module: str, node: ast.FunctionDef | ast.ClassDef) -> Iterator[str]:
    """Yield the names under which a definition is registered with gin, one per decorator."""
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
        arguments = {
            keyword.arg: keyword.value.value
            for keyword in (call.keywords if call else [])
            if isinstance(keyword.value, ast.Constant)
        }
        if call and call.args and isinstance(call.args[0], ast.Constant):
            arguments["name"] = call.args[0].value
        yield f"{arguments.get('module', module)!s}.{arguments.get('name', node.name)!s}"


def _parameters(
    node: ast.FunctionDef | ast.ClassDef, classes: dict[str, ast.ClassDef]
) -> frozenset[str] | None:
    """Return parameter names of a function, or of a class's own or inherited constructor."""
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
        name = _name(base)
        if name in {"object", "ABC"}:
            continue
        if name not in classes or name == node.name:
            return None
        return _parameters(classes[name], classes)
    return frozenset()
