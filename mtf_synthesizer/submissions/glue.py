"""GLUE's submission: eleven tables in one zip.

File names, header and answers follow gluebenchmark.com/faq and its sample submission. The
formatters of jiant (nyu-mll, the leaderboard's own authors) and of T5 write the same. The
entailment tasks except WNLI need words, STS-B a number, all others a digit. Counts are those of the
official test files, which number their rows from 0.

WNLI consists of Winograd schemas. T5's mixtures leave WNLI out and train on WSC and DPR instead.
glue_wnli_v002_simple_eval, the task that is predicted here, decodes the referent of a pronoun and
compares it with the hypothesis. Submit a model trained on WNLI's labels with
`predict --tasks glue_wnli_v002`.
"""

from mtf_synthesizer.submissions.answers import Answers, Labels, Number, Referents, Value
from mtf_synthesizer.submissions.layout import Benchmark, File, Identities, tsv


def _file(name: str, count: int, tasks: dict[str, Answers]) -> File:
    return File(f"{name}.tsv", tasks, Identities(count), tsv)


def _digits(negative: str, positive: str) -> dict[str, Value]:
    return {negative: 0, positive: 1}


def _words(*labels: str) -> dict[str, Value]:
    return {label: label for label in labels}


_MNLI = Labels(_words("entailment", "neutral", "contradiction"))
_ENTAILMENT = Labels(_words("entailment", "not_entailment"))
_WNLI = _digits("not_entailment", "entailment")

GLUE = Benchmark(
    "glue",
    (
        _file("CoLA", 1063, {"glue_cola_v002": Labels(_digits("unacceptable", "acceptable"))}),
        _file("SST-2", 1821, {"glue_sst2_v002": Labels(_digits("negative", "positive"))}),
        _file("MRPC", 1725, {"glue_mrpc_v002": Labels(_digits("not_equivalent", "equivalent"))}),
        _file("STS-B", 1379, {"glue_stsb_v002": Number(0, 5)}),
        _file("MNLI-m", 9796, {"glue_mnli_matched_v002": _MNLI}),
        _file("MNLI-mm", 9847, {"glue_mnli_mismatched_v002": _MNLI}),
        _file("QNLI", 5463, {"glue_qnli_v002": _ENTAILMENT}),
        _file("QQP", 390_965, {"glue_qqp_v002": Labels(_digits("not_duplicate", "duplicate"))}),
        _file("RTE", 3000, {"glue_rte_v002": _ENTAILMENT}),
        _file(
            "WNLI",
            146,
            {"glue_wnli_v002_simple_eval": Referents(_WNLI), "glue_wnli_v002": Labels(_WNLI)},
        ),
        _file("AX", 1104, {"glue_ax_v002": _MNLI}),
    ),
)
