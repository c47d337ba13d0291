"""Docstrings, comments, messages and pages keep the rules of plain English."""

import ast
import io
import pathlib
import re
import tokenize

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
ROOMS = (
    "mtf_synthesizer/__init__.py",
    "mtf_synthesizer/__main__.py",
    "mtf_synthesizer/errors.py",
    "mtf_synthesizer/runtime",
    "mtf_synthesizer/files",
    "mtf_synthesizer/model_folder",
    "mtf_synthesizer/config",
    "mtf_synthesizer/mesh",
    "mtf_synthesizer/attention",
    "mtf_synthesizer/baselines",
    "mtf_synthesizer/upstream",
    "mtf_synthesizer/data",
    "mtf_synthesizer/submissions",
    "mtf_synthesizer/studies",
    "mtf_synthesizer/inference",
    "mtf_synthesizer/training",
    "mtf_synthesizer/cli",
    "tasks",
    "gin",
)
# Words that begin a fragment of a sentence instead of a noun phrase or an imperative.
FRAGMENT = re.compile(r"(What|Of|As|Those|How|Whether|Which|Who|Where|Inside|So)\b")
# A verb in the third person: "Returns" for "Return".
THIRD_PERSON = re.compile(
    r"(Add|Allow|Ask|Build|Call|Check|Compare|Compute|Convert|Copie|Count|Creat|Do|Draw|Find|Get"
    r"|Give|Keep|Let|List|Load|Look|Make|Mark|Move|Open|Pad|Print|Put|Raise|Read|Record|Register"
    r"|Remove|Rename|Replace|Report|Return|Run|Save|Set|Show|Split|Store|Take|Train|Write|Yield)e?s"
    r" (?!of )"
)
# An entry of Args, Attributes or Returns that leaves out its noun: "folder: of the model."
FIELD = re.compile(
    r"^ +[a-z_*][\w, *]*: ((?:of|what|where|how|its|that|those|the same)\b.*)", re.MULTILINE
)
PHRASES = re.compile(
    r"\b(is|are|was|were) no\b(?! longer)"
    r"|\b(go|goes|going|went) on\b|\banew\b|\bthere (is|are|was|were)\b|\b(is|are|was|were) there\b"
    r"|\bsaid\b",
    re.IGNORECASE,
)
# File -> phrases that are not English prose: text of the data.
ALLOWED = {"mtf_synthesizer/data/dialogue.py": {"said"}}


def python_files(room: str) -> list[pathlib.Path]:
    path = ROOT / room
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


FILES = [file for room in ROOMS for file in python_files(room)]


def docstrings(tree: ast.Module) -> dict[int, str]:
    """Map line -> docstring of modules, classes and functions."""
    places = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(tree) if isinstance(node, places)]
    texts = {getattr(node, "lineno", 1): ast.get_docstring(node) for node in nodes}
    return {line: text for line, text in texts.items() if text}


def prose(text: str) -> list[tuple[int, str]]:
    """List (line, text) of comments and string literals, with adjacent comments joined."""
    found: list[tuple[int, str]] = []
    last = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            line, words = token.start[0], token.string.lstrip("# ")
            if line == last + 1 and found:
                found[-1] = (found[-1][0], f"{found[-1][1]} {words}")
            else:
                found.append((line, words))
            last = line
    strings = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    found += [(node.lineno, node.value) for node in strings if isinstance(node.value, str)]
    return found


def phrase_faults(name: str, lines: list[tuple[int, str]]) -> list[str]:
    faults = []
    for line, words in lines:
        for match in PHRASES.finditer(" ".join(words.split())):
            if match[0].lower() not in ALLOWED.get(name, ()):
                faults.append(f"{name}:{line}: {match[0]!r} in {words[:80]!r}")
    return faults


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_docstrings_and_phrases(file):
    name, text = str(file.relative_to(ROOT)), file.read_text("utf-8")
    starts = []
    for line, words in docstrings(ast.parse(text)).items():
        begins = [words] if FRAGMENT.match(words) or THIRD_PERSON.match(words) else []
        starts += [f"{name}:{line}: begins {part[:60]!r}" for part in begins + FIELD.findall(words)]
    assert starts + phrase_faults(name, prose(text)) == []


@pytest.mark.parametrize("file", sorted((ROOT / "gin").rglob("*.gin")), ids=lambda file: file.name)
def test_comments_of_gin_files(file):
    # Comments of several lines are paragraphs; other lines separate paragraphs.
    lines = [line.partition("# ")[2].strip() for line in file.read_text("utf-8").splitlines()]
    assert page_faults("\n".join(lines)) == []


@pytest.mark.parametrize(
    "source",
    [
        '"""What a model holds."""',
        'def f():\n    """Returns the model."""',
        'def f():\n    """Count.\n\n    Args:\n      folder: of the model.\n    """',
        "# A run goes on\nx = 1",
        'x = f"{y} is no checkpoint"',
        "# Without it there\n# is no model.\nx = 1",
    ],
)
def test_faults_are_found(source):
    found = [
        words
        for words in docstrings(ast.parse(source)).values()
        if FRAGMENT.match(words) or THIRD_PERSON.match(words) or FIELD.search(words)
    ]
    assert found or phrase_faults("x.py", prose(source))


# Pages whose prose keeps the rules.
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "gin/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
MOST_WORDS = 30  # of a sentence; STYLE asks for 25
PHRASES_OF_PAGES = re.compile(
    PHRASES.pattern
    + r"|\b(not|the) one that\b|\bwhat (it|they|each|one|was|has|follows|goes|lives)\b"
    r"|\bwhat \w+ (is|are|has|have|does|do|makes?|gives?|calls?) *[.,;)]",
    re.IGNORECASE,
)
FENCES = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


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


def page_faults(text: str) -> list[str]:
    faults = []
    for paragraph in paragraphs(text):
        found = PHRASES_OF_PAGES.finditer(paragraph)
        faults += [f"{match[0]!r} in {paragraph[:90]!r}" for match in found]
        faults += [f"{len(s.split())} words: {s[:90]!r}" for s in long_sentences(paragraph)]
    return faults


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages(page):
    assert page_faults(page.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "text", ["It is no sentence.", "A run\ngoes on.", "| x | there is one |", "Do " + "a " * 40]
)
def test_faults_of_pages_are_found(text):
    assert page_faults(text)


@pytest.mark.parametrize(
    "text", ["    there is code", "```\nthere is code\n```", "See `there is code`.", "No longer."]
)
def test_code_is_not_prose(text):
    assert page_faults(text) == []
