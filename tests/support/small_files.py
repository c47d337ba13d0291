"""Small official files written by the tests, and the rows that readers find in a folder."""

import gzip
import pathlib

from mtf_synthesizer.data import prepare, spec


def write(folder: pathlib.Path, name: str, *lines: str) -> pathlib.Path:
    """A text file with these lines, compressed if its name ends with .gz."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def read(dataset: spec.Dataset, folder: pathlib.Path) -> dict[str, list[spec.Row]]:
    """The rows of every split whose files are there."""
    names = dict.fromkeys(split.name for split in dataset.splits)
    located = [prepare.locate(dataset, name, folder) for name in names]
    return {
        found.split.name: list(found.split.read(found.paths)) for found in located if found.paths
    }


def published(dataset: spec.Dataset) -> dict[str, int | None]:
    """Published number of examples of each split."""
    return {split.name: split.published for split in dataset.splits}
