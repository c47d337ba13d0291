"""What a user can type: synthesizers, sizes and runs, where their gin files lie, and suggestions.

A name is a gin file without its ending: synthesizer `rv` is `synthesizers/rv.gin`. Nothing here
loads TensorFlow, so that a misspelt name is answered at once.
"""

import contextlib
import hashlib
import importlib.util
import pathlib
import re
from collections.abc import Iterable, Iterator

from mtf_synthesizer import errors
from mtf_synthesizer.files import paths

# Folder of gin files -> what one of its files is called towards the user.
KINDS = {
    "synthesizers": "synthesizer",
    "baselines": "baseline",
    "sizes": "size",
    "runs": "run",
    "experiments": "experiment",
    "meshes": "mesh",
}
# What stands in the same place of a command line: --synthesizer takes a baseline, too.
_BESIDE = {"synthesizers": ("baselines",)}
_INCLUDE = re.compile(r"""^include ['"](.+)['"]""", re.MULTILINE)


def gin_folder() -> pathlib.Path:
    """The folder of this package's gin files, in an installation or a checkout.

    Raises:
      UserError: if there is none.
    """
    package = pathlib.Path(__file__).resolve().parent.parent
    for folder in (package / "gin", package.parent / "gin"):
        if (folder / "synthesizers").is_dir():
            return folder
    raise errors.UserError(
        f"no gin files in {package / 'gin'} or {package.parent / 'gin'}: "
        "install mtf_synthesizer again, or run it from a complete checkout"
    )


def gin_digest() -> str:
    """Changes when any of this package's gin files does."""
    files = paths.matching_below(gin_folder(), "*.gin")
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:16]


def is_own(gin_file: str) -> bool:
    """Whether a gin file is the user's, and not of this package, T5 or Mesh.

    Raises:
      UserError: if there is no such file.
    """
    folders = find_gin_file(gin_file).absolute().parents
    return not {gin_folder(), mesh_defaults().parent, search_path()[0]}.intersection(folders)


def own_digest(gin_file: str) -> str | None:
    """The SHA-256 of a user's gin file; None for one of a package, which is known by its name.

    What stands in that may change with a release.

    Raises:
      UserError: if there is no such file.
    """
    if not is_own(gin_file):
        return None
    return hashlib.sha256(find_gin_file(gin_file).read_bytes()).hexdigest()


def search_path() -> list[paths.Path]:
    """Where relative names of gin files are looked up, in this order, after the working directory.

    T5's folder comes first because its own entry point puts it there.
    """
    return [_package_folder("t5") / "models" / "gin", gin_folder(), *_further_folders]


_further_folders: list[paths.Path] = []


@contextlib.contextmanager
def searched(folders: Iterable[str]) -> Iterator[None]:
    """Inside, gin files are looked up in further folders too, as with --gin_location_prefix."""
    before = list(_further_folders)
    _further_folders.extend(paths.of(folder) for folder in folders)
    try:
        yield
    finally:
        _further_folders[:] = before


def mesh_defaults() -> pathlib.Path:
    """Mesh's defaults.gin, which T5 parses before any other file."""
    return _package_folder("mesh_tensorflow") / "transformer" / "gin" / "defaults.gin"


def _package_folder(package: str) -> pathlib.Path:
    spec = importlib.util.find_spec(package)  # finds a top-level package without running it
    if spec is None or not spec.submodule_search_locations:
        raise errors.UserError(
            f"the package {package} is not installed: pip install mtf_synthesizer"
        )
    return pathlib.Path(spec.submodule_search_locations[0])


def known(folder: str) -> list[str]:
    """The names in one of the folders in `KINDS`, sorted."""
    files = paths.matching(gin_folder() / folder, "*.gin")
    shared: set[str] = set()
    if folder == "runs":  # there, what others include is a part and nothing to choose
        shared.update(name for file in files for name in _INCLUDE.findall(file.read_text("utf-8")))
    return [file.stem for file in files if f"{folder}/{file.name}" not in shared]


def gin_file(folder: str, name: str) -> str:
    """The relative path of a name's gin file, e.g. ("synthesizers", "rv") -> synthesizers/rv.gin.

    A baseline is found under the synthesizers, too: ("synthesizers", "lightconv") ->
    baselines/lightconv.gin.

    Raises:
      UserError: for an unknown name, with a suggestion and the list of known ones.
    """
    found = choices(folder)
    errors.check(KINDS[folder], name, found)
    return f"{found[name]}/{name}.gin"


def beside(what: str) -> list[str]:
    """The folders whose names are to be shown of one, and what stands in the same place; or "all".

    None for what is no folder.
    """
    if what == "all":
        return list(KINDS)
    return [what, *_BESIDE.get(what, ())] if what in KINDS else []


def choices(folder: str) -> dict[str, str]:
    """All that may stand in the place of a name -> the folder where its file lies."""
    return {stem: place for place in beside(folder) for stem in known(place)}


def find_gin_file(name: str) -> paths.Path:
    """Resolves a gin file as gin itself does: as given, else on the search path.

    Raises:
      UserError: if there is no such file.
    """
    candidates = [paths.of(name)]
    if not candidates[0].is_absolute():
        candidates += [folder / name for folder in search_path()]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    every = [
        path.relative_to(folder).as_posix()
        for folder in search_path()
        for path in paths.matching_below(folder, "*.gin")
    ]
    looked = ", ".join(str(folder) for folder in (paths.of("."), *search_path()))
    raise errors.UserError(
        f"gin file {name!r} not found.{errors.suggestion(name, every)} Looked in: {looked}"
    )
