"""The pages in docs/ and the README keep the rules of plain English and name files that exist."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROSE = [page for page in PAGES if page.name != "README.md"]
MOST_WORDS = 30  # of a sentence; STYLE.md asks for 25
PHRASES = re.compile(
    r"\b(is|are|was|were) no\b(?! longer)"
    r"|\b(go|goes|going|went) on\b|\banew\b|\bthere (is|are|was|were)\b|\b(is|are|was|were) there\b"
    r"|\bsaid\b|\b(not|the) one that\b|\bwhat (it|they|each|one|was|has|follows|goes|lives)\b"
    r"|\bwhat \w+ (is|are|has|have|does|do|makes?|gives?|calls?) *[.,;)]",
    re.IGNORECASE,
)
FENCES = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
# A path of this repository in backticks, e.g. `tests/checks/soak.py --kills 20` or `gin/README.md`.
PATHS = re.compile(r"`(?:python )?((?:docs|gin|tasks|tests|mtf_synthesizer)/[\w/.-]+\.\w+)[^`]*`")
LINKS = re.compile(r"\]\(([^)#:]+\.md)(?:#[^)]*)?\)")


def paragraphs(text: str) -> list[str]:
    """Paragraphs, list items and cells of tables, without code blocks and code in backticks."""
    found: list[str] = []
    new = True
    for line in FENCES.sub("", text).splitlines():
        if (new and line.startswith("    ")) or not line.strip():
            new = True
            continue
        if line.startswith("|"):
            found += [cell.strip() for cell in line.strip("|").split("|")]
            new = True
            continue
        item = re.match(r"\s*(?:[-*]|\d+\.|#+) ", line)
        if item or new:
            found.append(line[item.end() :] if item else line)
        else:
            found[-1] += f" {line.strip()}"
        new = line.startswith("#")
    return [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", re.sub(r"`[^`]*`", "X", p)) for p in found]


def long_sentences(paragraph: str) -> list[str]:
    """Sentences with too many words; colons and semicolons end a sentence too."""
    sentences = re.split(r"[.?!;:](?:\*\*)?(?:\s|$)", paragraph)
    return [s for s in sentences if len(re.findall(r"[\w'/-]*[A-Za-z][\w'/-]*", s)) > MOST_WORDS]


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.stem)
def test_plain_english(page):
    faults = []
    for paragraph in paragraphs(page.read_text("utf-8")):
        faults += [f"{match[0]!r} in {paragraph[:90]!r}" for match in PHRASES.finditer(paragraph)]
        faults += [f"{len(s.split())} words: {s[:90]!r}" for s in long_sentences(paragraph)]
    assert faults == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_named_files_exist(page):
    text = page.read_text("utf-8")
    named = {*PATHS.findall(text)}
    missing = [path for path in sorted(named) if "*" not in path and not _exists(path)]
    missing += [link for link in LINKS.findall(text) if not (page.parent / link).exists()]
    assert missing == []


def _exists(path: str) -> bool:
    inside = path.removeprefix("mtf_synthesizer/")
    return (ROOT / path).exists() or (inside.startswith("tasks/") and (ROOT / inside).exists())


@pytest.mark.parametrize(
    "text", ["It is no sentence.", "A run\ngoes on.", "| x | there is one |", "Do " + "a " * 40]
)
def test_faults_are_found(text):
    (found,) = [p for p in paragraphs(text) if p and p != "x"]
    assert PHRASES.search(found) or long_sentences(found)


@pytest.mark.parametrize(
    "text", ["    there is code", "```\nthere is code\n```", "See `there is code`.", "No longer."]
)
def test_code_is_not_prose(text):
    assert not any(PHRASES.search(paragraph) for paragraph in paragraphs(text))
