"""The notebook of a tutorial is its page, with outputs; `make notebook` runs it."""

import base64
import importlib.util
import json
import pathlib
import re

import pytest
import tutorials

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def script():
    path = ROOT / "docs/site/notebook.py"
    spec = importlib.util.spec_from_file_location("notebook_of_a_page", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def notebook(script):
    return json.loads(script.place(script.PAGE).read_text("utf-8"))


def _source(cell):
    return "".join(cell["source"])


def _outputs(notebook):
    return [output for cell in notebook["cells"] for output in cell.get("outputs", [])]


def _text(notebook):
    streams = [output for output in _outputs(notebook) if output["output_type"] == "stream"]
    return "".join("".join(output["text"]) for output in streams)


def test_its_cells_are_those_of_the_page(script, notebook):
    """After a change of the page, `make notebook` makes the notebook again."""
    found = [(cell["cell_type"], _source(cell)) for cell in notebook["cells"]]
    assert found == script.cells(script.PAGE)


def test_its_commands_are_those_that_the_tutorial_runs(script, notebook):
    commands = [
        line
        for cell in notebook["cells"]
        if _source(cell).startswith("%%bash")
        for line in _source(cell).splitlines()[1:]
    ]
    assert commands == tutorials.commands(script.PAGE)


def test_every_code_cell_was_run_in_order_and_has_an_output(notebook):
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)]
    assert all(cell["outputs"] for cell in cells)
    kinds = {output["output_type"] for output in _outputs(notebook)}
    assert kinds == {"stream", "execute_result"}


def test_its_outputs_are_the_results_alone(notebook):
    streams = {output.get("name") for output in _outputs(notebook)} - {None}
    assert streams == {"stdout"}
    text = _text(notebook)
    assert not re.search(r"\r|steps/s|Warning|(?<![\w.])/(?:home|root|tmp|work|usr)/", text), text
    assert "synthesizer_lookup_v001" in text


def test_it_shows_a_picture(notebook):
    (picture,) = (output["data"]["image/png"] for output in _outputs(notebook) if "data" in output)
    assert base64.b64decode("".join(picture)).startswith(b"\x89PNG")


def test_it_is_small_and_linked(script):
    assert script.place(script.PAGE).stat().st_size < 300_000
    link = f"(notebooks/{script.PAGE}.ipynb)"
    for page in (script.PAGE, "index"):
        assert link in (ROOT / "docs" / f"{page}.md").read_text("utf-8")


def test_links_lead_from_the_folder_of_the_notebooks(script):
    for cell in script.cells(script.PAGE):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", cell.source):
            assert (script.place(script.PAGE).parent / link).is_file(), link
