"""Pages name files, pages and tests that exist."""

import pathlib
import re

import pytest

from mtf_synthesizer.studies.bench.setting import ROWS, SIZES

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# A path of this repository in backticks, e.g. `python tests/checks/soak.py --kills 20`.
PATHS = re.compile(r"`(?:python )?((?:docs|gin|tasks|tests|mtf_synthesizer)/[\w/.-]+\.\w+)[^`\n]*`")
# Pages that name tests by their paths below tests/, and the least number of names.
BELOW_TESTS = {"guarantees": 60, "real_use": 80}
LINKS = re.compile(r"\]\(([^)#:]+\.md)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_named_files_exist(page):
    text = page.read_text("utf-8")
    named = {*PATHS.findall(text)} if page.stem not in BELOW_TESTS else set()
    missing = [path for path in sorted(named) if not (ROOT / path).exists()]
    missing += [link for link in LINKS.findall(text) if not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", BELOW_TESTS)
def test_named_tests_exist(page):
    text = (ROOT / f"docs/{page}.md").read_text("utf-8")
    named = re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", text)
    assert len(named) > BELOW_TESTS[page]
    missing = []
    for file, test in named:
        path = ROOT / "tests" / file.removeprefix("tests/")
        if not path.is_file() or (test and f"def {test}(" not in path.read_text("utf-8")):
            missing.append(f"{file} {test}")
    assert missing == []


def test_the_page_of_bench_lists_rows_and_sizes():
    text = (ROOT / "docs/bench.md").read_text("utf-8")
    named = set(re.findall(r"[\w-]+", " ".join(re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE))))
    assert set(ROWS) - named == set()
    assert all(f"`{size}`" in text for size in SIZES)
