"""Finds and checks the official files of a benchmark, and prepares them for training."""

import dataclasses
import fnmatch
from collections.abc import Iterable, Iterator, Sequence

import rich.console
import rich.table
import tqdm

from mtf_synthesizer import errors
from mtf_synthesizer.data import catalogue, files
from mtf_synthesizer.data.spec import DataError, Dataset, Row, Split
from mtf_synthesizer.files import paths, saving
from mtf_synthesizer.files.paths import Path
from mtf_synthesizer.runtime import loading

_SHOWN_FAULTS = 3
_SHOWN_FILES = 5


@dataclasses.dataclass(frozen=True)
class Finding:
    """What was found of one split.

    Attributes:
      dataset, split: which one. Where alternatives were looked for, the one that is there.
      paths: its files; empty if they are missing.
      rows: how many examples they have; None if they are missing or broken.
      fault: what is wrong with them.
      lacking: names of files that are missing while others of the split, `beside`, are there.
    """

    dataset: Dataset
    split: Split
    paths: tuple[Path, ...] = ()
    rows: int | None = None
    fault: str | None = None
    lacking: tuple[str, ...] = ()
    beside: tuple[Path, ...] = ()

    @property
    def state(self) -> str:
        """One word or two for the table."""
        if self.fault is not None:
            return "broken"
        if self.rows is None:
            return "incomplete" if self.lacking else "missing"
        if not self.split.counts:
            return "found"
        return "complete" if self.rows in self.split.counts else "other count"

    @property
    def published(self) -> str:
        return " or ".join(f"{count:,}" for count in self.split.counts) or "?"


def survey(benchmark: str, folder: Path, show_progress: bool = True) -> list[Finding]:
    """Looks for every split of a benchmark and reads those that are there from end to end.

    Raises:
      errors.UserError: there is no such folder or benchmark.
    """
    known = catalogue.datasets(benchmark)
    if not folder.is_dir():
        raise errors.UserError(f"--from {folder}: there is no such folder")
    findings = [
        _checked(locate(dataset, split, folder), show_progress)
        for dataset in known
        for split in dict.fromkeys(split.name for split in dataset.splits)
    ]
    # The English files of one pair of languages are no part of another pair that is missing.
    used = {path for each in findings for path in each.paths}
    return [
        dataclasses.replace(each, lacking=()) if used.issuperset(each.beside) else each
        for each in findings
    ]


def locate(dataset: Dataset, name: str, folder: Path) -> Finding:
    """The first of the alternatives for a split that is there, else one of which a part is."""
    alternatives = [split for split in dataset.splits if split.name == name]
    partly: list[Finding] = []
    for split in alternatives:
        found = {each: files.find(folder, each) for each in split.files}
        if all(found.values()):
            return Finding(dataset, split, tuple(path for each in found.values() for path in each))
        if any(found.values()):
            lacking = tuple(each for each, paths in found.items() if not paths)
            there = tuple(path for paths in found.values() for path in paths)
            partly.append(Finding(dataset, split, lacking=lacking, beside=there))
    return partly[0] if partly else Finding(dataset, alternatives[0])


def _checked(found: Finding, show_progress: bool) -> Finding:
    if not found.paths:
        return found
    try:
        rows = sum(1 for _ in _rows(found, "checking", show_progress))
    except DataError as error:
        return dataclasses.replace(found, fault=str(error))
    fault = None if rows else f"{found.paths[0]}: no examples in it"
    return dataclasses.replace(found, rows=rows, fault=fault)


def _rows(found: Finding, doing: str, show_progress: bool) -> Iterator[Row]:
    """The examples of a split, with a bar that is gone afterwards."""
    return iter(
        tqdm.tqdm(
            found.split.read(found.paths),
            desc=f"{doing} {found.dataset.tfds_name} {found.split.name}",
            total=max(found.split.counts, default=None),
            disable=None if show_progress else True,  # None: only on a terminal
            leave=False,
            mininterval=1,
        )
    )


def unused(findings: Sequence[Finding], folder: Path) -> list[Path]:
    """Files that lie beside those of the splits, and have the name of no split's file."""
    used = {path for each in findings for path in (*each.paths, *each.beside)}
    patterns = {
        name.lower() for each in findings for split in each.dataset.splits for name in split.files
    }
    beside = sorted({path.parent for path in used})
    return [
        path
        for parent in beside
        for path in paths.matching(parent, "*")
        if path not in used
        and path.is_file()
        and not _has_name(path.relative_to(folder).as_posix().lower(), patterns)
    ]


def _has_name(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name.removesuffix(".gz"), pattern) for pattern in patterns)


def _say_unused(found: Sequence[Path]) -> None:
    if found:
        more = len(found) - _SHOWN_FILES
        shown = ", ".join(map(str, found[:_SHOWN_FILES])) + (f" and {more} more" * (more > 0))
        print(f"not used, as `mtf_synthesizer data list` has no such name: {shown}")


def check(findings: Sequence[Finding], allow_partial: bool) -> None:
    """Raises a UserError unless everything that is there can be used.

    Args:
      findings: of `survey`.
      allow_partial: whether splits may have other counts than the published ones.
    """
    present = [each for each in findings if each.paths]
    incomplete = [each for each in findings if each.lacking]
    if incomplete and not present:
        raise errors.UserError("\n".join(_incomplete(each) for each in incomplete))
    if not present:
        raise errors.UserError(
            f"--from: none of the files is there, not even {findings[0].split.files[0]}. Give the "
            "folder in which they lie; `mtf_synthesizer data list` shows all names"
        )
    faults = dict.fromkeys(each.fault for each in present if each.fault)
    _raise_first([fault for fault in faults if fault])
    if not allow_partial:
        _raise_first([_wrong_count(each) for each in present if each.state == "other count"])


def _incomplete(found: Finding) -> str:
    return (
        f"{found.dataset.tfds_name} {found.split.name} is left out: "
        f"{', '.join(found.lacking)} missing beside the other files of the split"
    )


def _wrong_count(found: Finding) -> str:
    first = found.paths[0]
    what = "files have" if len(found.paths) > 1 else "file has"
    return (
        f"{first}: {found.rows:,} examples of {found.dataset.tfds_name} {found.split.name}, but "
        f"the published {what} {found.published}: cut off, a part or another release. Get "
        "the official files, or take these with --allow_partial"
    )


def _raise_first(faults: Sequence[str]) -> None:
    if faults:
        more = len(faults) - _SHOWN_FAULTS
        shown = [*faults[:_SHOWN_FAULTS], *([f"and {more} more"] if more > 0 else [])]
        raise DataError("\n".join(shown))


def write(
    findings: Sequence[Finding], output: Path, overwrite: bool, show_progress: bool = True
) -> Iterator[tuple[Path, bool]]:
    """Writes every data set of which a split is there.

    Args:
      findings: of `survey`, checked.
      output: the folder of prepared data.
      overwrite: whether data sets that are there already are written again.
      show_progress: whether bars are shown.

    Yields:
      The folder of each data set, and whether it was written.
    """
    from mtf_synthesizer.data import prepared as data_prepared

    present: dict[str, list[Finding]] = {}
    for each in findings:
        if each.paths:
            present.setdefault(each.dataset.tfds_name, []).append(each)
    for splits in present.values():
        dataset = splits[0].dataset
        wanted = overwrite or not data_prepared.exists(dataset, output)
        if wanted:
            rows = {each.split.name: _rows(each, "writing", show_progress) for each in splits}
            data_prepared.write(dataset, rows, output)
        yield output / dataset.directory, wanted


def run(
    benchmark: str,
    folder: Path,
    output: Path,
    allow_partial: bool = False,
    overwrite: bool = False,
    verbose: bool = False,
) -> None:
    """Surveys, shows what is there, and writes it if nothing is wrong.

    Raises:
      errors.UserError: an unknown benchmark, no such folder, nothing in it, or broken files.
    """
    _check_output(output)
    findings = survey(benchmark, folder)
    rich.console.Console().print(table_of_findings(findings))
    check(findings, allow_partial)
    for each in findings:
        if each.lacking:
            print(_incomplete(each))
    _say_unused(unused(findings, folder))
    loading.load_tensorflow(verbose)
    try:
        for path, written in write(findings, output, overwrite):
            print(path if written else _left(path, findings, output))
    except OSError as error:
        raise errors.UserError(f"--tfds_data_dir {output}: can't be written: {error}") from error


def _check_output(output: Path) -> None:
    try:
        saving.check_folder(output)
    except errors.UserError as error:
        raise errors.UserError(f"--tfds_data_dir {error}") from error


def _left(path: Path, findings: Sequence[Finding], output: Path) -> str:
    """What is said of a data set that is there; it may lack splits that could be written now."""
    from mtf_synthesizer.data import prepared as data_prepared

    ready = data_prepared.splits(path)
    now = [e.split.name for e in findings if e.paths and output / e.dataset.directory == path]
    new, lost = [n for n in now if n not in ready], [n for n in ready if n not in now]
    if not new:
        return f"{path} was there and is left as it is (--overwrite writes it again)"
    warning = f", without {', '.join(lost)}, whose files are not in --from" if lost else ""
    return (
        f"{path} was there and is left as it is: it has {', '.join(ready)}, not {', '.join(new)}. "
        f"--overwrite writes it again with {', '.join(now)}{warning}"
    )


def table_of_findings(findings: Sequence[Finding]) -> rich.table.Table:
    table = _table("data set", "split", "state", "examples", "published")
    for each in findings:
        rows = "" if each.rows is None else f"{each.rows:,}"
        table.add_row(_short(each.dataset), each.split.name, each.state, rows, each.published)
    return table


def describe_files(benchmark: str) -> Iterator[str]:
    """Lines that say what `survey` looks for."""
    yield f"--benchmark {benchmark}"
    for dataset in catalogue.datasets(benchmark):
        before = None
        for split in dataset.splits:
            name = "  or" if split.name == before else split.name
            yield f"  {_short(dataset):<30} {name:<22} {' '.join(split.files)}"
            before = split.name


def _short(dataset: Dataset) -> str:
    return dataset.tfds_name.partition(":")[0]


def _table(*columns: str) -> rich.table.Table:
    """An empty table; only its last column may be broken into lines."""
    table = rich.table.Table(box=None, padding=(0, 2, 0, 0))
    for column in columns:
        right = column in ("examples", "published")
        table.add_column(
            column,
            justify="right" if right else "left",
            overflow="fold",
            no_wrap=column != columns[-1],
        )
    return table
