"""Remote paths behave as pathlib's, and nothing in the package opens files another way.

TensorFlow's file system `ram://` lives in the memory of this process; to the package it is as
remote as gs://.
"""

import ast
import gzip
import pathlib

import mtf_synthesizer.runtime.compat

import pytest
import ram_folders
import tensorflow as tf

from mtf_synthesizer import errors
from mtf_synthesizer.data import files
from mtf_synthesizer.files import paths, saving
from mtf_synthesizer.model_folder.folder import ModelFolder

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


@pytest.fixture(params=["ordinary", "remote"])
def folder(request, tmp_path):
    if request.param == "ordinary":
        return paths.of(str(tmp_path))
    return ram_folders.bucket()


def test_ordinary_paths_are_pathlibs(tmp_path):
    assert type(paths.of(tmp_path)) is type(tmp_path)
    assert paths.of("a/b") == pathlib.Path("a/b")
    assert not paths.is_remote("C:/a") and not paths.is_remote("a//b")


@pytest.mark.parametrize("text", ["gs://bucket/a/b.c.txt", "hdfs:///a/b.c.txt", "ram://a/b.c.txt"])
def test_parts_of_remote_paths(text):
    """pathlib would make gs:/bucket of gs://bucket."""
    path = paths.of(text)
    assert str(path) == text == tf.io.gfile.join(path.parent, path.name)
    assert (path.name, path.stem, path.suffix) == ("b.c.txt", "b.c", ".txt")
    assert str(path.with_name("x")) == text.replace("b.c.txt", "x")
    assert str(path.with_suffix("")) == text.removesuffix(".txt")
    assert path.parent / "b.c.txt" == path == paths.of(path)
    assert path.parent in path.parents and path not in path.parents
    assert path.relative_to(path.parent).as_posix() == "b.c.txt"
    assert sorted([path / "b", path / "a"]) == [path / "a", path / "b"]


def test_a_slash_more_is_the_same():
    assert paths.of("gs://b/x/") == paths.of("gs://b/x") == paths.of("gs://b") / "x"
    assert len({paths.of("gs://b/x/"), paths.of("gs://b/x"), paths.of("s3://b/x")}) == 2
    assert str(paths.of("gs://b").parent) == "gs://"


def test_files_and_folders(folder):
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b").mkdir(parents=True, exist_ok=True)
    with pytest.raises(FileExistsError):
        (folder / "a" / "b").mkdir(parents=True)
    file = folder / "a" / "b" / "é.txt"
    file.write_text("é\r\nx\n", "utf-8")
    assert file.read_text("utf-8").splitlines() == ["é", "x"]
    assert file.read_bytes() == "é\r\nx\n".encode()
    assert paths.size(file) == 6
    for path, is_file in ((file, True), (file.parent, False)):
        assert (path.exists(), path.is_file(), path.is_dir()) == (True, is_file, not is_file)
    assert not (folder / "c").exists() and not (folder / "c").is_dir()
    with file.open("a", encoding="utf-8") as opened:
        opened.write("y\n")
    with file.open("rb") as opened:
        assert list(opened) == ["é\r\n".encode(), b"x\n", b"y\n"]
    other = file.with_name("z.txt")
    other.write_bytes(b"1")
    file.replace(other)  # which is there
    assert other.read_bytes().endswith(b"y\n") and not file.exists()
    other.unlink()
    other.unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
        other.unlink()
    with pytest.raises(FileNotFoundError) as error:
        other.read_bytes()
    assert error.value.strerror


def test_what_a_folder_holds(folder):
    for name in ("m-1.index", "m-10.index", "m-1.data", "sub/m-2.index"):
        saving.write_bytes(folder / name, b"")
    assert sorted(path.name for path in folder.iterdir()) == ["m-1.data", "m-1.index"] + [
        "m-10.index",
        "sub",
    ]
    assert sorted(path.name for path in folder.glob("m-1*.index")) == ["m-1.index", "m-10.index"]
    found = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.index"))
    assert found == ["m-1.index", "m-10.index", "sub/m-2.index"]
    assert list(folder.glob("none*")) == []
    paths.remove_folder(folder / "sub")
    assert not (folder / "sub").exists()


def test_compressed_text(folder):
    """TensorFlow's own lines would lose the carriage return in the middle."""
    content = b"a\rb\r\nc" * 70000
    saving.write_bytes(folder / "x.txt.gz", gzip.compress(content))
    saving.write_bytes(folder / "y.txt", content)
    wanted = [line.removesuffix("\r") for line in content.decode().split("\n")]
    for found in files.find(folder, "*.txt"):
        assert list(files.lines(found)) == wanted
    assert len(files.find(folder, "*.txt")) == 2


def test_written_files_are_whole(folder):
    for content in (b"first", b"second"):
        saving.write_bytes(folder / "a" / "x", content)
    assert [path.name for path in (folder / "a").iterdir()] == ["x"]
    assert (folder / "a" / "x").read_bytes() == b"second"
    with pytest.raises(errors.UserError, match="is a folder"):
        saving.check_file(folder / "a")


def test_remote_folders_have_no_lock(folder):
    with ModelFolder(folder).lock():
        if isinstance(folder, paths.RemotePath):
            with ModelFolder(folder).lock():
                assert not list(folder.iterdir())
        else:
            with pytest.raises(errors.UserError), ModelFolder(folder).lock():
                pass


def test_a_scheme_that_tensorflow_does_not_know():
    with pytest.raises(errors.UserError, match="does not know the file system nosuch://"):
        paths.of("nosuch://a/b").exists()


# Modules that touch files in other ways, and why these never lie elsewhere. Sub-folders too.
LOCAL = {
    "mtf_synthesizer/files/paths.py": "the layer itself",
    "mtf_synthesizer/files/locks.py": "locks files of this machine's file systems alone",
    "mtf_synthesizer/files/saving.py": "asks whether an ordinary folder can be written",
    "mtf_synthesizer/config/gin_files.py": "gin files of the installed packages",
    "mtf_synthesizer/config/lint/configurables.py": "sources of the installed packages",
    "mtf_synthesizer/runtime/compat.py": "folders of the installed packages",
    "mtf_synthesizer/runtime/literal_paths.py": "links to folders of this machine",
    "mtf_synthesizer/runtime/precision.py": "/proc",
    "mtf_synthesizer/runtime/machine_memory.py": "/proc and /sys",
    "mtf_synthesizer/studies/bench/processes.py": "programs and messages of this machine",
    "mtf_synthesizer/studies/compare/pace.py": "a folder that is measured and removed",
    "mtf_synthesizer/studies/conversion/fitted.py": "a folder for models that are removed",
    "mtf_synthesizer/studies/conversion/pruned.py": "a folder for scores that are read and removed",
    "tasks/verses.py": "texts of the installed packages",
    "mtf_synthesizer/studies/pages/page.py": "templates of this package",
    "mtf_synthesizer/runtime/loading.py": "a nameless file for messages",
    "mtf_synthesizer/cli/main.py": "the null device",
    "mtf_synthesizer/data/token_cache.py": "Beam's and seqio's paths, by TensorFlow's layer alone",
    "mtf_synthesizer/upstream/caches.py": "seqio's paths, by TensorFlow's layer alone",
    "mtf_synthesizer/runtime/failures.py": "the mount point of a full disk",
    "mtf_synthesizer/training/warm_start/huggingface.py": "safetensors reads this machine's files",
    "mtf_synthesizer/inference/huggingface/export.py": "a file of this package",
    "mtf_synthesizer/files/new_folder.py": "folders are made on this machine, then copied",
    "mtf_synthesizer/inference/text_lines.py": "a copy of standard input; cuts an ordinary file",
    "mtf_synthesizer/studies/bench/machine.py": "/proc",
    "mtf_synthesizer/studies/bench/memory.py": "/proc",
    "mtf_synthesizer/data/prepared.py": "data sets are made on this machine, then copied",
    "mtf_synthesizer/upstream/vocabulary.py": "SentencePiece models, by TensorFlow's layer alone",
    "tasks/verses_vocabulary.py": "the home folder",
    "tasks/dialogue_metrics.py": "looks for java",
}
MODULES = {"shutil", "glob", "tempfile", "sqlite3", "gfile"}
OF_OS = {"rename", "replace", "remove", "unlink", "mkdir", "makedirs", "listdir", "scandir"}
OF_OS |= {"walk", "stat", "access", "open", "link", "symlink", "rmdir", "truncate"}
OF_OS_PATH = {"exists", "isfile", "isdir", "getsize", "getmtime", "abspath", "realpath", "islink"}
# Fine with a stream in memory, whose content the layer then writes.
WRITERS = {"save", "savez", "savez_compressed", "load", "savefig", "ZipFile", "GzipFile"}


def other_ways(source: str) -> list[str]:
    """What a module does with files that only ordinary paths allow."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found += ["open"] * (node.func.id == "open")
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value)
            found += [f"{owner}.{node.attr}"] * (
                (owner == "os" and node.attr in OF_OS)
                or (owner == "os.path" and node.attr in OF_OS_PATH)
                or (owner == "pathlib" and node.attr in ("Path", "PosixPath"))
                or owner.rpartition(".")[2] in MODULES
            )
        if isinstance(node, ast.ImportFrom) and node.module in {"pathlib", "os", *MODULES}:
            found.append(f"from {node.module}")
        if isinstance(node, ast.FunctionDef) and "BytesIO(" not in ast.unparse(node):
            found += [
                ast.unparse(call.func)
                for call in ast.walk(node)
                if isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.attr in WRITERS
                and ast.unparse(call.func.value) in ("np", "numpy", "zipfile", "gzip", "figure")
            ]
    return found


@pytest.mark.parametrize(
    "line",
    [
        "open('x')",
        "pathlib.Path('x')",
        "from pathlib import Path",
        "os.rename(a, b)",
        "os.path.exists(a)",
        "shutil.copyfile(a, b)",
        "tf.io.gfile.exists(a)",
        "def f():\n  np.save('x', a)",
        "def f():\n  figure.savefig('x')",
    ],
)
def test_the_search_finds(line):
    assert other_ways(line)
    assert not other_ways("paths.of('x').open('rb')\ndef f():\n  np.save(io.BytesIO(), a)")


def test_nothing_opens_files_another_way():
    found = {
        path.relative_to(ROOT).as_posix(): ways
        for folder in ("mtf_synthesizer", "tasks")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if (ways := other_ways(path.read_text("utf-8")))
    }
    assert {name: ways for name, ways in found.items() if name not in LOCAL} == {}
    assert set(LOCAL) <= set(found)  # no exception is left that is none
