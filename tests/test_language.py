"""Docstrings, comments and messages of finished rooms keep the rules of plain English."""

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
    starts = [
        f"{name}:{line}: begins {words[:60]!r}"
        for line, words in docstrings(ast.parse(text)).items()
        if FRAGMENT.match(words) or THIRD_PERSON.match(words)
    ]
    assert starts + phrase_faults(name, prose(text)) == []


def test_comments_of_gin_files():
    faults = []
    for file in sorted((ROOT / "gin").rglob("*.gin")):
        lines = enumerate(file.read_text("utf-8").splitlines(), start=1)
        comments = " ".join(line.lstrip("# ") for _, line in lines if line.startswith("#"))
        faults += phrase_faults(str(file.relative_to(ROOT)), [(1, comments)])
    assert faults == []


@pytest.mark.parametrize(
    "source",
    [
        '"""What a model holds."""',
        'def f():\n    """Returns the model."""',
        "# A run goes on\nx = 1",
        'x = f"{y} is no checkpoint"',
        "# Without it there\n# is no model.\nx = 1",
    ],
)
def test_faults_are_found(source):
    found = [
        words
        for words in docstrings(ast.parse(source)).values()
        if FRAGMENT.match(words) or THIRD_PERSON.match(words)
    ]
    assert found or phrase_faults("x.py", prose(source))
