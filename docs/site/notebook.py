"""Turn a tutorial page into a notebook, run it, and keep its outputs.

    .docs/bin/python docs/site/notebook.py [PAGE]

Prose becomes Markdown cells, each indented block of commands a cell of the shell. Standard error
and progress are left out of the outputs. The notebook is written after its last cell has succeeded.
"""

import os
import pathlib
import re
import shutil
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGE = "lookup"
LINK = re.compile(r"\]\((?!https?:|#)")
PROGRESS = re.compile(r".*: step \d+/\d+, .*left$")
PICTURES = re.compile(r"mtf_synthesizer maps .*--output (\S+)")
SHOW = """from IPython.display import Image

Image("{folder}/transformer_self_attention.png")"""


class Cell(NamedTuple):
    """A cell without outputs: its kind, `markdown` or `code`, and its text."""

    kind: str
    source: str


def place(page: str) -> pathlib.Path:
    """Return the path of a page's notebook."""
    return ROOT / "docs/notebooks" / f"{page}.ipynb"


def cells(page: str) -> list[Cell]:
    """Return the cells of a page's notebook."""
    text = (ROOT / "docs" / f"{page}.md").read_text("utf-8")
    own_link = f"(notebooks/{page}.ipynb)"
    origin = f"This notebook is the page [{page}.md]({page}.md), run by `make notebook`."
    prose: list[str] = []
    found = []
    for paragraph in text.strip().split("\n\n"):
        if not paragraph.startswith("    "):
            prose.append(origin if own_link in paragraph else paragraph)
            continue
        found.append(_markdown(prose))
        prose = []
        commands = re.sub(r"^    ", "", paragraph, flags=re.MULTILINE)
        found.append(Cell("code", f"%%bash -e\n{commands}"))
        found += [Cell("code", SHOW.format(folder=f)) for f in PICTURES.findall(commands)]
    return [*found, _markdown(prose)] if prose else found


def _markdown(prose: list[str]) -> Cell:
    """Return a cell of paragraphs, with links from the folder of the notebooks."""
    return Cell("markdown", LINK.sub("](../", "\n\n".join(prose)))


def run(page: str, folder: pathlib.Path) -> None:
    """Run a page's notebook in a folder, which is replaced, and write it with its outputs."""
    import nbclient
    import nbformat

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    kinds = {"markdown": nbformat.v4.new_markdown_cell, "code": nbformat.v4.new_code_cell}
    made = [
        kinds[cell.kind](cell.source, id=f"cell-{number}")
        for number, cell in enumerate(cells(page), 1)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    notebook = nbformat.v4.new_notebook(cells=made, metadata=metadata)
    nbclient.NotebookClient(
        notebook,
        timeout=None,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    ).execute()
    notebook.metadata = metadata  # without the versions of this machine
    for cell in made:
        if cell.cell_type == "code":
            cell.outputs = [*_kept(cell.outputs, folder)]
    nbformat.validate(notebook)
    nbformat.write(notebook, place(page))


def _kept(outputs: list[Any], folder: pathlib.Path) -> Iterator[Any]:
    """Yield the outputs of a cell without standard error, progress and absolute paths."""
    streams = [output for output in outputs if output.get("name") == "stdout"]
    if streams:  # one output: the kernel sends pieces that end inside lines
        text = "".join(output.text for output in streams).replace(f"{folder}/", "")
        lines = [line for line in text.splitlines() if not PROGRESS.fullmatch(line)]
        streams[0].text = "".join(f"{line}\n" for line in lines)
        yield streams[0]
    yield from (output for output in outputs if output.output_type != "stream")


if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else PAGE
    own = ROOT / "build/notebook"
    # The commands are those of `make install`. Jupyter keeps its files out of the user's home.
    os.environ["PATH"] = f"{ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    for variable in ("IPYTHONDIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        os.environ[variable] = str(own / "jupyter")
    run(name, own / name)
