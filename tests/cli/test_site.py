"""The pages that `make docs` gathers: links within one folder, and a reference from the code."""

import importlib.util
import pathlib
import re

import pytest

from mtf_synthesizer.cli import commands

PAGES = pathlib.Path(__file__).resolve().parent.parent.parent / "docs/site/pages.py"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    spec = importlib.util.spec_from_file_location("pages_of_the_site", PAGES)
    pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pages)
    folder = tmp_path_factory.mktemp("site")
    pages.gather(folder)
    return folder


def test_links_stay_within_the_site(site):
    pages = list(site.glob("*.md"))
    assert len(pages) > 30
    for page in pages:
        for link in re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text("utf-8")):
            assert (site / link).exists(), f"{page.name}: {link}"


def test_the_contents_name_every_page(site):
    index = (site / "index.md").read_text("utf-8")
    for page in site.glob("*.md"):
        assert re.search(rf"^{page.stem}$", index, re.MULTILINE) or page.stem == "index", page


def test_every_command_and_option_is_in_the_reference(site):
    text = (site / "commands.md").read_text("utf-8")
    for name in commands.COMMANDS:
        assert f"## {name}\n" in text
    assert "--evaluate_every" in text
    assert "data prepare" in text


def test_functions_are_in_the_reference_of_gin(site):
    text = (site / "configurables.md").read_text("utf-8")
    assert re.search(r"FactorizedRandom` \| .*`rank`", text)
