"""Checks a submission zip against what GLUE and SuperGLUE publish; knows nothing of the package.

    python tests/support/submission_checker.py glue|superglue submission.zip

File names, header, layout and answers are those of gluebenchmark.com/faq and
super.gluebenchmark.com/faq and of the sample submissions found there, counts those of the official
test files.
"""

import json
import sys
import zipfile

# File -> rows, and what a prediction may be; None for a number from 0 to 5.
DIGITS = {"0", "1"}
THREE = {"entailment", "neutral", "contradiction"}
TWO = {"entailment", "not_entailment"}
GLUE = {
    "CoLA.tsv": (1063, DIGITS),
    "SST-2.tsv": (1821, DIGITS),
    "MRPC.tsv": (1725, DIGITS),
    "STS-B.tsv": (1379, None),
    "MNLI-m.tsv": (9796, THREE),
    "MNLI-mm.tsv": (9847, THREE),
    "QNLI.tsv": (5463, TWO),
    "QQP.tsv": (390965, DIGITS),
    "RTE.tsv": (3000, TWO),
    "WNLI.tsv": (146, DIGITS),
    "AX.tsv": (1104, THREE),
}
# File -> lines, and what a label may be; JSON text, so that "true", true and 1 differ.
SUPER_GLUE = {
    "BoolQ.jsonl": (3245, {'"true"', '"false"'}),
    "CB.jsonl": (250, {'"entailment"', '"neutral"', '"contradiction"'}),
    "COPA.jsonl": (500, {"0", "1"}),
    "ReCoRD.jsonl": (10000, None),
    "RTE.jsonl": (3000, {'"entailment"', '"not_entailment"'}),
    "WiC.jsonl": (1400, {'"true"', '"false"'}),
    "WSC.jsonl": (146, {'"True"', '"False"'}),
    "AX-b.jsonl": (1104, {'"entailment"', '"not_entailment"'}),
    "AX-g.jsonl": (356, {'"entailment"', '"not_entailment"'}),
}
MULTIRC = "MultiRC.jsonl"
PASSAGES, ANSWERS = 166, 9693
BENCHMARKS = {"glue": set(GLUE), "superglue": {*SUPER_GLUE, MULTIRC}}


def problems(benchmark, path, absent=()):
    """What the server would not accept, as texts; empty for a good submission."""
    wanted = BENCHMARKS[benchmark] - set(absent)
    with zipfile.ZipFile(path) as archive:
        found = archive.namelist()
        if sorted(found) != sorted(wanted):
            return [f"files {sorted(found)} instead of {sorted(wanted)}"]
        texts = {name: archive.read(name).decode("utf-8") for name in found}
    return [
        f"{name}: {problem}"
        for name, text in texts.items()
        for problem in _file_problems(benchmark, name, text)
    ]


def _file_problems(benchmark, name, text):
    if not text.endswith("\n") or "\r" in text:
        return ["lines do not end with a line feed alone"]
    lines = text.removesuffix("\n").split("\n")
    if benchmark == "glue":
        return _table_problems(lines, *GLUE[name])
    if name == MULTIRC:
        return _multirc_problems(lines)
    return _lines_problems(lines, *SUPER_GLUE[name])


def _table_problems(lines, count, allowed):
    if lines[0] != "index\tprediction":
        return [f"header {lines[0]!r}"]
    rows = [line.split("\t") for line in lines[1:]]
    if any(len(row) != 2 for row in rows):
        return ["a row has not two cells"]
    found = _order_problems([row[0] for row in rows], [str(i) for i in range(count)])
    if allowed is None:
        wrong = [row[1] for row in rows if not _is_similarity(row[1])]
    else:
        wrong = [row[1] for row in rows if row[1] not in allowed]
    return found + [f"prediction {value!r}" for value in wrong[:1]]


def _is_similarity(text):
    try:
        return 0 <= float(text) <= 5  # false for nan
    except ValueError:
        return False


def _order_problems(found, wanted):
    if len(found) != len(wanted):
        return [f"{len(found)} rows instead of {len(wanted)}"]
    wrong = [(a, b) for a, b in zip(found, wanted, strict=True) if a != b or type(a) is not type(b)]
    return [f"{a!r} where {b!r} should be" for a, b in wrong[:1]]


def _lines_problems(lines, count, allowed):
    rows = [json.loads(line) for line in lines]
    if any(set(row) != {"idx", "label"} for row in rows):
        return ["a line has not just idx and label"]
    found = _order_problems([row["idx"] for row in rows], list(range(count)))
    if allowed is None:
        wrong = [row["label"] for row in rows if not isinstance(row["label"], str)]
    else:
        wrong = [row["label"] for row in rows if json.dumps(row["label"]) not in allowed]
    return found + [f"label {value!r}" for value in wrong[:1]]


def _multirc_problems(lines):
    passages = [json.loads(line) for line in lines]
    questions = []
    for passage in passages:
        if set(passage) != {"idx", "passage"} or set(passage["passage"]) != {"questions"}:
            return ["a line has not just idx and passage with its questions"]
        questions += passage["passage"]["questions"]
    if any(set(question) != {"idx", "answers"} for question in questions):
        return ["a question has not just idx and answers"]
    answers = [answer for question in questions for answer in question["answers"]]
    if any(set(answer) != {"idx", "label"} for answer in answers):
        return ["an answer has not just idx and label"]
    found = _order_problems([passage["idx"] for passage in passages], list(range(PASSAGES)))
    found += _order_problems([answer["idx"] for answer in answers], list(range(ANSWERS)))
    asked = [question["idx"] for question in questions]
    if asked != sorted(set(asked)):
        found.append("questions are not in order, or one stands in two places")
    wrong = [a["label"] for a in answers if json.dumps(a["label"]) not in {"0", "1"}]
    return found + [f"label {value!r}" for value in wrong[:1]]


if __name__ == "__main__":
    complaints = problems(sys.argv[1], sys.argv[2])
    print("\n".join(complaints) or "as published")
    sys.exit(bool(complaints))
