"""Small official files written by the tests, and the rows that readers find in a folder."""

import gzip
import pathlib

from mtf_synthesizer.data import files, spec


def write(folder: pathlib.Path, name: str, *lines: str) -> pathlib.Path:
    """A text file with these lines, compressed if its name ends with .gz."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def read(dataset: spec.Dataset, folder: pathlib.Path) -> dict[str, list[spec.Row]]:
    """The rows of every split whose files are there; the first layout that is complete counts."""
    found: dict[str, list[spec.Row]] = {}
    for split in dataset.splits:
        paths = [files.find(folder, name) for name in split.files]
        if split.name not in found and all(paths):
            found[split.name] = list(split.read([path for group in paths for path in group]))
    return found


def published(dataset: spec.Dataset) -> dict[str, int | None]:
    """Published number of examples of each split."""
    return {split.name: split.published for split in dataset.splits}
