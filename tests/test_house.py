"""The folders of the package: each imports only folders above it, and each keeps to its subject."""

import ast
import collections
import itertools
import pathlib
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent

# From the ground up: a folder imports only folders before it in this list, and errors.py.
ROOMS = (
    "runtime",
    "files",
    "model_folder",
    "config",
    "mesh",
    "attention",
    "baselines",
    "upstream",
    "data",
    "tasks",
    "submissions",
    "inference",
    "training",
    "studies",
    "cli",
)
# Rooms whose modules load no TensorFlow, so that a mistake is answered at once.
LIGHT = ("errors", "files", "model_folder", "config", "submissions", "cli")
HEAVY = {
    "tensorflow",
    "tensorflow_datasets",
    "tensorflow_estimator",
    "tensorflow_text",
    "mesh_tensorflow",
    "t5",
    "seqio",
    "mtf_synthesizer.runtime.compat",
}
LIBRARIES = {"t5", "mesh_tensorflow", "seqio", "gin", "tensorflow_datasets", "tfds"}
# Modules outside upstream/ that change libraries: they make them importable, or safe to call.
ADAPTERS = {"runtime/compat.py", "runtime/late_imports.py", "runtime/literal_paths.py"}


# Data: copied beside exported models, which PyTorch loads; nothing here imports it.
MODELLING_FILE = ROOT / "mtf_synthesizer" / "inference" / "huggingface" / "modeling_synthesizer.py"


def _sources() -> dict[str, ast.Module]:
    """Path below the package (tasks/ included) -> its syntax tree."""
    found = {}
    for top, prefix in ((ROOT / "mtf_synthesizer", ""), (ROOT / "tasks", "tasks/")):
        for path in sorted({*top.rglob("*.py")} - {MODELLING_FILE}):
            found[prefix + path.relative_to(top).as_posix()] = ast.parse(path.read_text("utf-8"))
    return found


SOURCES = _sources()


def _module(path: str) -> str:
    parts = path.removesuffix(".py").split("/")
    return ".".join(["mtf_synthesizer", *(part for part in parts if part != "__init__")])


MODULES = {_module(path): path for path in SOURCES}


def _room(path: str) -> str:
    return path.split("/")[0].removesuffix(".py")


def _imported(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported anywhere in a tree; a name of a package as package.name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in MODULES else node.module for name in names)


def _when_loaded(tree: ast.Module) -> ast.Module:
    """The statements that run when the module is imported; not those for type checkers."""
    body = []
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            body.append(node)
    return ast.Module(body=body, type_ignores=[])


def test_the_rooms():
    rooms = {path.name for path in (ROOT / "mtf_synthesizer").iterdir() if path.is_dir()}
    assert rooms - {"__pycache__"} | {"tasks"} == set(ROOMS)
    root = {path for path in SOURCES if "/" not in path}
    assert root == {"__init__.py", "__main__.py", "errors.py"}
    assert not (ROOT / "gin" / "__init__.py").exists()


@pytest.mark.parametrize("path", [path for path in SOURCES if "/" in path])
def test_a_folder_imports_only_folders_above_it(path):
    level = ROOMS.index(_room(path))
    for module in _imported(SOURCES[path]):
        if not module.startswith("mtf_synthesizer."):
            continue
        room = module.split(".")[1]
        assert room in ("errors", *ROOMS[: level + 1]), f"{path} imports {module}"


def test_inference_is_never_imported_by_training():
    for path, tree in SOURCES.items():
        if _room(path) == "training":
            assert not [m for m in _imported(tree) if m.startswith("mtf_synthesizer.inference")]


def test_no_module_imports_itself_through_others():
    """Circles of imports while modules are loaded, inside a room too."""
    graph = {
        path: {MODULES[m] for m in _imported(_when_loaded(tree)) if m in MODULES} - {path}
        for path, tree in SOURCES.items()
    }
    done: set[str] = set()

    def visit(path: str, trail: tuple[str, ...]) -> None:
        assert path not in trail, " -> ".join((*trail[trail.index(path) :], path))
        if path in done:
            return
        for imported in graph[path]:
            visit(imported, (*trail, path))
        done.add(path)

    for path in graph:
        visit(path, ())


@pytest.mark.parametrize("path", [path for path in SOURCES if _room(path) in LIGHT])
def test_a_light_room_loads_no_tensorflow(path):
    """Neither by itself nor by a module of this package that it imports."""
    seen, waiting = set(), [path]
    while waiting:
        current = waiting.pop()
        for module in _imported(_when_loaded(SOURCES[current])):
            tops = {module, module.split(".")[0]}
            assert not tops & HEAVY, f"{path} loads {module} by {current}"
            # Importing a.b.c runs a/__init__ and a.b/__init__ as well.
            parts = module.split(".")
            packages = (".".join(parts[:end]) for end in range(1, len(parts) + 1))
            for name in itertools.chain(packages):
                if name in MODULES and MODULES[name] not in seen:
                    seen.add(MODULES[name])
                    waiting.append(MODULES[name])


def _names_of_libraries(tree: ast.Module) -> set[str]:
    """Local names that are modules of T5, Mesh, SeqIO, gin or TensorFlow Datasets."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in LIBRARIES:
                    names.add((alias.asname or alias.name).split(".")[0])
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in LIBRARIES:
            # A class or function is not a module, but changing its attributes is as global.
            names.update(alias.asname or alias.name for alias in node.names)
    return names


def _changed(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, name) of attributes of libraries that are assigned, deleted or patched."""
    names = _names_of_libraries(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del):
            base = node.value
            while isinstance(base, ast.Attribute):
                base = base.value
            if isinstance(base, ast.Name) and base.id in names:
                yield node.lineno, base.id
        if isinstance(node, ast.Call) and node.args:
            called = ast.unparse(node.func)
            if called.endswith(("setattr", "patch.object", "patch.dict")):
                base = node.args[0]
                while isinstance(base, ast.Attribute):
                    base = base.value
                if isinstance(base, ast.Name) and base.id in names:
                    yield node.lineno, base.id


def test_only_upstream_changes_libraries():
    changed = {
        f"{path}:{line} changes {name}"
        for path, tree in SOURCES.items()
        if _room(path) != "upstream" and path not in ADAPTERS
        for line, name in _changed(tree)
    }
    assert not changed


def test_the_page_of_upstream_names_every_module_that_changes_a_library():
    page = ast.get_docstring(SOURCES["upstream/__init__.py"]) or ""
    changing = {
        path.rpartition("/")[2].removesuffix(".py")
        for path, tree in SOURCES.items()
        if _room(path) == "upstream" and any(_changed(tree))
    }
    assert {name for name in changing if f"`{name}`" not in page} == set()
    assert "dot_product" in changing


def test_argparse_lives_in_the_command_line():
    users = {path for path, tree in SOURCES.items() if "argparse" in set(_imported(tree))}
    assert {_room(path) for path in users} == {"cli"}


def test_every_class_has_a_name_of_its_own():
    places = collections.defaultdict(list)
    for path, tree in SOURCES.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(path)
    assert not {name: paths for name, paths in places.items() if len(paths) > 1}
