"""SuperGLUE's submission: ten files of JSON lines in one zip.

File names and answers follow super.gluebenchmark.com/faq and its sample submission. The formatters
of jiant (nyu-mll, the leaderboard's own authors) and of T5 write the same, and jiant's files were
uploaded with success. Truth values are texts, "true" and "false" for BoolQ and WiC, "True" and
"False" for WSC. COPA and MultiRC need the numbers 0 and 1, ReCoRD the text of the entity. Counts
are those of the official test files, which number their examples from 0; MultiRC and ReCoRD number
answers and queries through all passages.

For WSC, T5 decodes the referent of the pronoun, and compares it with the noun in question.
"""

from mtf_synthesizer.submissions.answers import Answers, Labels, Referents, TextAnswers, Value
from mtf_synthesizer.submissions.layout import (
    Benchmark,
    File,
    Identities,
    json_lines,
    nested_json_lines,
)


def _file(name: str, count: int, task: str, answers: Answers) -> File:
    return File(f"{name}.jsonl", {task: answers}, Identities(count), json_lines)


def _truth(false: Value, true: Value) -> dict[str, Value]:
    return {"False": false, "True": true}


def _words(*labels: str) -> Labels:
    return Labels({label: label for label in labels})


_ENTAILMENT = _words("entailment", "not_entailment")
_LOWER_CASE = Labels(_truth("false", "true"))

SUPER_GLUE = Benchmark(
    "superglue",
    (
        _file("BoolQ", 3245, "super_glue_boolq_v102", _LOWER_CASE),
        _file("CB", 250, "super_glue_cb_v102", _words("entailment", "contradiction", "neutral")),
        _file("COPA", 500, "super_glue_copa_v102", Labels({"choice1": 0, "choice2": 1})),
        File(
            "MultiRC.jsonl",
            {"super_glue_multirc_v102": Labels(_truth(0, 1))},
            Identities(9693, "idx/answer", ("idx/paragraph", "idx/question"), groups=166),
            nested_json_lines,
        ),
        File(
            "ReCoRD.jsonl",
            {"super_glue_record_v102": TextAnswers()},
            Identities(10_000, "idx/query"),
            json_lines,
        ),
        _file("RTE", 3000, "super_glue_rte_v102", _ENTAILMENT),
        _file("WiC", 1400, "super_glue_wic_v102", _LOWER_CASE),
        _file("WSC", 146, "super_glue_wsc_v102_simple_eval", Referents(_truth("False", "True"))),
        _file("AX-b", 1104, "super_glue_axb_v102", _ENTAILMENT),
        _file("AX-g", 356, "super_glue_axg_v102", _ENTAILMENT),
    ),
)
