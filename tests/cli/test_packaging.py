"""The wheel and the editable installation hold the same things under the same names.

Needs no network: the wheel is built with the setuptools that is installed.
"""

import ast
import importlib.metadata
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def run(command: list, cwd: pathlib.Path, **variables: str) -> str:
    environment = {**os.environ, **variables}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def sources(folder: str, pattern: str) -> set[str]:
    found = (path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob(pattern))
    return {path.as_posix() for path in found}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> pathlib.Path:
    """A wheel built from a copy, so that no build folder appears in the checkout."""
    copy = tmp_path_factory.mktemp("copy")
    for file in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / file, copy)
    for folder in ("mtf_synthesizer", "tasks", "gin"):
        shutil.copytree(ROOT / folder, copy / folder)
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    run([*pip, "--wheel-dir", "dist", "."], copy)
    [built] = (copy / "dist").glob("mtf_synthesizer-*.whl")
    return built


@pytest.fixture(scope="module")
def unpacked(wheel, tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("unpacked")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def test_wheel_holds_one_package_and_no_top_level_tasks_or_gin(unpacked):
    tops = {path.name for path in unpacked.iterdir() if not path.name.endswith(".dist-info")}
    assert tops == {"mtf_synthesizer"}


@pytest.mark.parametrize(
    ("source", "installed", "pattern"),
    [
        ("mtf_synthesizer", "mtf_synthesizer", "*.py"),
        ("tasks", "mtf_synthesizer/tasks", "*.py"),
        ("gin", "mtf_synthesizer/gin", "*.gin"),
    ],
)
def test_wheel_holds_every_source_file(unpacked, source, installed, pattern):
    wanted = sources(source, pattern)
    assert wanted
    missing = {name for name in wanted if not (unpacked / installed / name).is_file()}
    assert not missing


def test_wheel_files_that_are_not_python_are_all_there(unpacked):
    # Templates, style sheets and the like beside the code need a line in setup.py's package_data.
    data = {
        name
        for name in sources("mtf_synthesizer", "*") | sources("tasks", "*")
        if pathlib.PurePath(name).suffix not in ("", ".py", ".pyc")
    }
    package = unpacked / "mtf_synthesizer"
    packed = {
        name for name in data for top in (package, package / "tasks") if (top / name).is_file()
    }
    assert packed == data


def test_gin_stays_a_folder_of_data():
    assert not list((ROOT / "gin").rglob("*.py"))


def test_wheel_is_importable_and_finds_its_gin_files(unpacked):
    code = """
import gin, mtf_synthesizer, pathlib, importlib.util
package = pathlib.Path(mtf_synthesizer.__file__).parent
assert package.parent == pathlib.Path.cwd(), package
assert importlib.util.find_spec("mtf_synthesizer.tasks").origin.startswith(str(package))
assert not gin.__file__.startswith(str(package))
from mtf_synthesizer.cli import main as cli
cli.main(["gin-path"])
"""
    # -P and PYTHONPATH: the wheel's folder comes before the editable installation.
    output = run([sys.executable, "-P", "-c", code], unpacked, PYTHONPATH=str(unpacked))
    assert pathlib.Path(output.strip()) == unpacked / "mtf_synthesizer" / "gin"


def test_editable_installation_finds_tasks_and_gin_in_the_checkout(tmp_path):
    code = """
import gin, mtf_synthesizer, importlib.util
print(mtf_synthesizer.__file__)
print(importlib.util.find_spec("mtf_synthesizer.tasks").origin)
from mtf_synthesizer.cli import main as cli
cli.main(["gin-path"])
"""
    for folder in (tmp_path, ROOT):  # in the checkout, the folder gin must not hide gin-config
        package, tasks, gin_path = run([sys.executable, "-c", code], folder).splitlines()
        assert pathlib.Path(package) == ROOT / "mtf_synthesizer" / "__init__.py"
        assert pathlib.Path(tasks) == ROOT / "tasks" / "__init__.py"
        assert pathlib.Path(gin_path) == ROOT / "gin"


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-beam.lock"])
def test_requirements_meet_in_the_locks(lock):
    """Every requirement of setup.py is in its lock, except the folder's second distribution."""
    is_beams = "beam" in lock
    lines = (ROOT / lock).read_text("utf-8").splitlines()
    locked = {line.split("==")[0].lower() for line in lines if "==" in line}
    extras = {"beam"} if is_beams else {"dev", "dialogue"}
    names = set()
    for requirement in importlib.metadata.requires("mtf_synthesizer") or []:
        name, _, marker = requirement.partition(";")
        extra = re.search(r"extra == ['\"](\w+)", marker)
        if extra is None or extra[1] in extras:
            names.add(re.split(r"[<>=!~ \[]", name.strip().lower())[0])
    assert {"t5", *(["apache-beam"] if is_beams else ["pytest"])} <= names
    assert names - locked == {"tensorflow-datasets"}


def test_lock_names_no_index_and_no_local_file():
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    for word in ("--", "://", "file:", " @ "):
        assert word not in lock.replace("# This file", ""), word


# Modules that are imported under another name than that of their distribution.
DISTRIBUTIONS = {
    "absl": "absl-py",
    "apache_beam": "apache-beam",
    "gin": "gin-config",
    "google": "protobuf",
    "mesh_tensorflow": "mesh-tensorflow",
    "ml_dtypes": "ml-dtypes",
    "rouge_score": "rouge-score",
    "seqio": "seqio-nightly",
    "sklearn": "scikit-learn",
    "tensorflow_datasets": "tensorflow-datasets",
    "tensorflow_estimator": "tensorflow-estimator",
    "tensorflow_text": "tensorflow-text",
}
# modeling_synthesizer.py runs where an exported model is used, not here.
ELSEWHERE = {"torch", "transformers"}


def test_every_library_that_is_imported_is_declared():
    declared = set(
        re.findall(r'^    "([A-Za-z0-9_-]+)', (ROOT / "setup.py").read_text(), re.MULTILINE)
    )
    declared |= {"apache-beam"}  # of the extra `beam`
    imported = set()
    for folder in ("mtf_synthesizer", "tasks"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    imported.update(alias.name.split(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module:
                    imported.add(node.module.split(".")[0])
    libraries = imported - set(sys.stdlib_module_names) - ELSEWHERE - {"mtf_synthesizer"}
    assert {DISTRIBUTIONS.get(name, name) for name in libraries} <= declared
