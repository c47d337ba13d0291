"""Search, check and preparation of a benchmark's official files."""

import dataclasses
import fnmatch
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

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
    """State of one split in the user's files.

    Attributes:
      dataset: data set of the split.
      split: the split; of several alternatives the one that exists.
      paths: files of the split; empty if they are missing.
      rows: number of examples; None if the files are missing or broken.
      fault: error message for broken files.
      missing: names of missing files if other files of the split exist.
      beside: these other files.
    """

    dataset: Dataset
    split: Split
    paths: tuple[Path, ...] = ()
    rows: int | None = None
    fault: str | None = None
    missing: tuple[str, ...] = ()
    beside: tuple[Path, ...] = ()

    @property
    def state(self) -> str:
        """State in one or two words, for the table."""
        if self.fault is not None:
            return "broken"
        if self.rows is None:
            return "incomplete" if self.missing else "missing"
        if not self.split.counts:
            return "found"
        return "complete" if self.rows in self.split.counts else "other count"

    @property
    def published(self) -> str:
        return " or ".join(f"{count:,}" for count in self.split.counts) or "?"


def survey(benchmark: str, folder: Path, show_progress: bool = True) -> list[Finding]:
    """Look for every split of a benchmark and read the existing files from end to end.

    Raises:
      errors.UserError: the folder is missing, or the benchmark is unknown.
    """
    known = catalogue.datasets(benchmark)
    if not folder.is_dir():
        raise errors.UserError(f"--from {folder}: no such folder")
    findings = [
        _checked(locate(dataset, split, folder), show_progress)
        for dataset in known
        for split in dict.fromkeys(split.name for split in dataset.splits)
    ]
    # Files of one language pair, such as English, do not make another pair incomplete.
    used = {path for finding in findings for path in finding.paths}
    return [
        dataclasses.replace(finding, missing=()) if used.issuperset(finding.beside) else finding
        for finding in findings
    ]


def locate(dataset: Dataset, name: str, folder: Path) -> Finding:
    """Return the first alternative of a split that exists, else the first that exists in part."""
    alternatives = [split for split in dataset.splits if split.name == name]
    incomplete: list[Finding] = []
    for split in alternatives:
        files_by_name = {pattern: files.find(folder, pattern) for pattern in split.files}
        if all(files_by_name.values()):
            return Finding(
                dataset,
                split,
                tuple(path for paths in files_by_name.values() for path in paths),
            )
        if any(files_by_name.values()):
            missing = tuple(pattern for pattern, paths in files_by_name.items() if not paths)
            existing = tuple(path for paths in files_by_name.values() for path in paths)
            incomplete.append(Finding(dataset, split, missing=missing, beside=existing))
    return incomplete[0] if incomplete else Finding(dataset, alternatives[0])


def _checked(finding: Finding, show_progress: bool) -> Finding:
    if not finding.paths:
        return finding
    try:
        rows = sum(1 for _ in _rows(finding, "checking", show_progress))
    except DataError as error:
        return dataclasses.replace(finding, fault=str(error))
    fault = None if rows else f"{finding.paths[0]}: no examples in it"
    return dataclasses.replace(finding, rows=rows, fault=fault)


def _rows(finding: Finding, activity: str, show_progress: bool) -> Iterator[Row]:
    """Return the examples of a split, with a progress bar that disappears at the end."""
    return iter(
        tqdm.tqdm(
            finding.split.read(finding.paths),
            desc=f"{activity} {finding.dataset.tfds_name} {finding.split.name}",
            total=max(finding.split.counts, default=None),
            disable=None if show_progress else True,  # None: only on a terminal
            leave=False,
            mininterval=1,
        )
    )


def unused(findings: Sequence[Finding], folder: Path) -> list[Path]:
    """Return files beside the files of splits that have the name of no split's file."""
    used = {path for finding in findings for path in (*finding.paths, *finding.beside)}
    patterns = {
        name.lower()
        for finding in findings
        for split in finding.dataset.splits
        for name in split.files
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


def _say_unused(unused_files: Sequence[Path]) -> None:
    if unused_files:
        more = len(unused_files) - _SHOWN_FILES
        shown = ", ".join(map(str, unused_files[:_SHOWN_FILES])) + (
            f" and {more} more" * (more > 0)
        )
        print(f"not used, because `mtf_synthesizer data list` has no such name: {shown}")


def check(findings: Sequence[Finding], allow_partial: bool) -> None:
    """Raise a UserError unless all existing files can be used.

    Args:
      findings: result of `survey`.
      allow_partial: whether splits may differ from the published counts.

    Raises:
      errors.UserError: no file exists, a split is incomplete or broken, or a count differs.
    """
    present = [finding for finding in findings if finding.paths]
    incomplete = [finding for finding in findings if finding.missing]
    if incomplete and not present:
        raise errors.UserError("\n".join(_incomplete(finding) for finding in incomplete))
    if not present:
        raise errors.UserError(
            f"--from: no official file found, not even {findings[0].split.files[0]}. Give the "
            "folder that contains the files; `mtf_synthesizer data list` prints all names"
        )
    faults = dict.fromkeys(finding.fault for finding in present if finding.fault)
    _raise_first([fault for fault in faults if fault])
    if not allow_partial:
        _raise_first(
            [_wrong_count(finding) for finding in present if finding.state == "other count"]
        )


def _incomplete(finding: Finding) -> str:
    return (
        f"{finding.dataset.tfds_name} {finding.split.name} is left out: "
        f"{', '.join(finding.missing)} missing beside the other files of the split"
    )


def _wrong_count(finding: Finding) -> str:
    first = finding.paths[0]
    published_files = "files have" if len(finding.paths) > 1 else "file has"
    return (
        f"{first}: {finding.rows:,} examples of {finding.dataset.tfds_name} {finding.split.name}, "
        f"but the published {published_files} {finding.published}. Download the official files, "
        "or accept these with --allow_partial"
    )


def _raise_first(faults: Sequence[str]) -> None:
    if faults:
        more = len(faults) - _SHOWN_FAULTS
        shown = [*faults[:_SHOWN_FAULTS], *([f"and {more} more"] if more > 0 else [])]
        raise DataError("\n".join(shown))


def write(
    findings: Sequence[Finding], output: Path, overwrite: bool, show_progress: bool = True
) -> Iterator[tuple[Path, bool]]:
    """Write every data set that has at least one split.

    Args:
      findings: result of `survey`, checked.
      output: the folder of prepared data.
      overwrite: whether existing data sets are written again.
      show_progress: whether to show progress bars.

    Yields:
      The folder of each data set, and whether it was written.
    """
    from mtf_synthesizer.data import prepared as data_prepared

    present: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.paths:
            present.setdefault(finding.dataset.tfds_name, []).append(finding)
    for splits in present.values():
        dataset = splits[0].dataset
        is_written = overwrite or not data_prepared.exists(dataset, output)
        if is_written:
            rows = {
                finding.split.name: _rows(finding, "writing", show_progress) for finding in splits
            }
            data_prepared.write(dataset, rows, output)
        yield output / dataset.directory, is_written


def run(
    benchmark: str,
    folder: Path,
    output: Path,
    allow_partial: bool = False,
    overwrite: bool = False,
    verbose: bool = False,
) -> None:
    """Survey a folder, print the table, and write the data sets if all files are usable.

    Raises:
      errors.UserError: an unknown benchmark, a missing or empty folder, or broken files.
    """
    _check_output(output)
    findings = survey(benchmark, folder)
    rich.console.Console().print(table_of_findings(findings))
    check(findings, allow_partial)
    for finding in findings:
        if finding.missing:
            print(_incomplete(finding))
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
    """Describe a data set that existed before, which may lack splits that can be written now."""
    from mtf_synthesizer.data import prepared as data_prepared

    ready = data_prepared.splits(path)
    now = [
        finding.split.name
        for finding in findings
        if finding.paths and output / finding.dataset.directory == path
    ]
    new, lost = (
        [name for name in now if name not in ready],
        [name for name in ready if name not in now],
    )
    if not new:
        return f"{path} exists and is left unchanged (--overwrite writes it again)"
    warning = f", without {', '.join(lost)}, whose files are not in --from" if lost else ""
    return (
        f"{path} exists and is left unchanged: it has {', '.join(ready)}, not {', '.join(new)}. "
        f"--overwrite writes it again with {', '.join(now)}{warning}"
    )


def table_of_findings(findings: Sequence[Finding]) -> rich.table.Table:
    table = _table("data set", "split", "state", "examples", "published")
    for finding in findings:
        rows = "" if finding.rows is None else f"{finding.rows:,}"
        table.add_row(
            _short(finding.dataset), finding.split.name, finding.state, rows, finding.published
        )
    return table


def describe_files(benchmark: str) -> Iterator[str]:
    """Yield lines that list the files that `survey` looks for."""
    yield f"--benchmark {benchmark}"
    for dataset in catalogue.datasets(benchmark):
        before = None
        for split in dataset.splits:
            name = "  or" if split.name == before else split.name
            yield f"  {_short(dataset):<30} {name:<22} {' '.join(split.files)}"
            before = split.name


def official_files(benchmark: str) -> list[dict[str, Any]]:
    """Return the files that `survey` looks for, as JSON values: a row for each way to have a split.

    Returns:
      Rows with dataset, split and files.
    """
    return [
        {"dataset": _short(dataset), "split": split.name, "files": list(split.files)}
        for dataset in catalogue.datasets(benchmark)
        for split in dataset.splits
    ]


def _short(dataset: Dataset) -> str:
    return dataset.tfds_name.partition(":")[0]


def _table(*columns: str) -> rich.table.Table:
    """Return an empty table; only its last column may wrap."""
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
