"""Names that a user can type (synthesizers, sizes, runs) and the gin files behind them.

A name is a gin file without its extension: synthesizer `rv` is `synthesizers/rv.gin`. This module
loads no TensorFlow, so that a misspelt name fails at once.
"""

import contextlib
import importlib.util
import itertools
import pathlib
import re
from collections.abc import Iterable, Iterator

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths

# Folder of gin files -> word for one of its files in messages.
KINDS = {
    "synthesizers": "synthesizer",
    "baselines": "baseline",
    "sizes": "size",
    "runs": "run",
    "experiments": "experiment",
    "meshes": "mesh",
}
# Folders whose names the same flag accepts: --synthesizer takes a baseline, too.
_BESIDE = {"synthesizers": ("baselines",)}
# Folders in which a file that others include is a part of them, not a name to choose.
_WITH_PARTS = frozenset({"runs"})
_SENTENCE = re.compile(r"(?<=\.)(?<!al\.) ")
_INCLUDE = re.compile(r"""^include ['"](.+)['"]""", re.MULTILINE)


def gin_folder() -> pathlib.Path:
    """Return the folder of this package's gin files, in an installation or a checkout.

    Raises:
      UserError: the folder is missing.
    """
    package = pathlib.Path(__file__).resolve().parent.parent
    for folder in (package / "gin", package.parent / "gin"):
        if (folder / "synthesizers").is_dir():
            return folder
    raise errors.UserError(
        f"no gin files in {package / 'gin'} or {package.parent / 'gin'}: "
        "install mtf_synthesizer again, or run it from a complete checkout"
    )


def is_own(gin_file: str) -> bool:
    """Return whether a gin file belongs to the user, not to this package, T5 or Mesh.

    Raises:
      UserError: the file is missing.
    """
    folders = find_gin_file(gin_file).absolute().parents
    return not {gin_folder(), mesh_defaults().parent, search_path()[0]}.intersection(folders)


def search_path() -> list[paths.Path]:
    """Return the folders searched for relative names, in order, after the working directory.

    T5's folder comes first because T5's own entry point puts it first.
    """
    return [_package_folder("t5") / "models" / "gin", gin_folder(), *_further_folders]


_further_folders: list[paths.Path] = []


@contextlib.contextmanager
def searched(folders: Iterable[str]) -> Iterator[None]:
    """Search further folders for gin files inside, as --gin_location_prefix does."""
    before = list(_further_folders)
    _further_folders.extend(paths.of(folder) for folder in folders)
    try:
        yield
    finally:
        _further_folders[:] = before


def mesh_defaults() -> pathlib.Path:
    """Return the path of Mesh's defaults.gin, which T5 parses before any other file."""
    return _package_folder("mesh_tensorflow") / "transformer" / "gin" / "defaults.gin"


def _package_folder(package: str) -> pathlib.Path:
    spec = importlib.util.find_spec(package)  # does not run a top-level package
    if spec is None or not spec.submodule_search_locations:
        raise errors.UserError(
            f"the package {package} is not installed: pip install mtf_synthesizer"
        )
    return pathlib.Path(spec.submodule_search_locations[0])


def known(folder: str) -> list[str]:
    """Return the names in one of the folders in `KINDS`, sorted."""
    files = paths.matching(gin_folder() / folder, "*.gin")
    parts = _included(files) if folder in _WITH_PARTS else set()
    return [file.stem for file in files if f"{folder}/{file.name}" not in parts]


def _included(files: Iterable[paths.Path]) -> set[str]:
    """Return the relative names of the files that some of `files` include."""
    return {name for file in files for name in _INCLUDE.findall(file.read_text("utf-8"))}


def description(folder: str, name: str) -> str:
    """Return the first sentence of the comment at the top of a name's gin file."""
    lines = (gin_folder() / folder / f"{name}.gin").read_text("utf-8").splitlines()
    comment = itertools.takewhile(
        lambda line: line.startswith("# "), lines[1:]
    )  # below -*-Python-*-
    text = " ".join(line.removeprefix("# ") for line in comment)
    return _SENTENCE.split(text, maxsplit=1)[0]


def gin_file(folder: str, name: str) -> str:
    """Return the relative path of a name's gin file.

    ("synthesizers", "rv") gives synthesizers/rv.gin. Baselines count as synthesizers:
    ("synthesizers", "lightconv") gives baselines/lightconv.gin.

    Raises:
      UserError: the name is unknown; the message has a suggestion and the known names.
    """
    folders = choices(folder)
    errors.check(KINDS[folder], name, folders)
    return f"{folders[name]}/{name}.gin"


def accepted_folders(folder: str) -> list[str]:
    """Return a folder and the folders whose names the same flag accepts."""
    return [folder, *_BESIDE.get(folder, ())]


def choices(folder: str) -> dict[str, str]:
    """Map every name that a flag accepts -> the folder of its file."""
    return {stem: place for place in accepted_folders(folder) for stem in known(place)}


def find_gin_file(name: str) -> paths.Path:
    """Resolve a gin file as gin does: as given, else on the search path.

    Raises:
      UserError: the file is missing.
    """
    candidates = [paths.of(name)]
    if not candidates[0].is_absolute():
        candidates += [folder / name for folder in search_path()]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    known_files = [
        path.relative_to(folder).as_posix()
        for folder in search_path()
        for path in paths.matching_below(folder, "*.gin")
    ]
    places = ", ".join(str(folder) for folder in (paths.of("."), *search_path()))
    raise errors.UserError(
        f"gin file {name!r} not found.{errors.suggestion(name, known_files)} Looked in: {places}"
    )
