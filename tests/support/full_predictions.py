"""Predictions of the official sizes for every task of GLUE and SuperGLUE, as `predict` writes them.

Written from T5's tasks and the official files; knows nothing of the package's own tables.
"""

import functools
import random

# Task -> test examples, and the texts T5 decodes.
FLAT = {
    "glue_cola_v002": (1063, ("unacceptable", "acceptable")),
    "glue_sst2_v002": (1821, ("negative", "positive")),
    "glue_mrpc_v002": (1725, ("not_equivalent", "equivalent")),
    "glue_stsb_v002": (1379, ("0.0", "3.4", "5.0")),
    "glue_mnli_matched_v002": (9796, ("entailment", "neutral", "contradiction")),
    "glue_mnli_mismatched_v002": (9847, ("entailment", "neutral", "contradiction")),
    "glue_qnli_v002": (5463, ("entailment", "not_entailment")),
    "glue_qqp_v002": (390965, ("not_duplicate", "duplicate")),
    "glue_rte_v002": (3000, ("entailment", "not_entailment")),
    "glue_ax_v002": (1104, ("entailment", "neutral", "contradiction")),
    "super_glue_boolq_v102": (3245, ("False", "True")),
    "super_glue_cb_v102": (250, ("entailment", "contradiction", "neutral")),
    "super_glue_copa_v102": (500, ("choice1", "choice2")),
    "super_glue_rte_v102": (3000, ("entailment", "not_entailment")),
    "super_glue_wic_v102": (1400, ("False", "True")),
    "super_glue_axb_v102": (1104, ("entailment", "not_entailment")),
    "super_glue_axg_v102": (356, ("entailment", "not_entailment")),
}
REFERENTS = {"glue_wnli_v002_simple_eval": 146, "super_glue_wsc_v102_simple_eval": 146}
RECORD, MULTIRC = "super_glue_record_v102", "super_glue_multirc_v102"
GLUE = [task for task in [*FLAT, *REFERENTS] if task.startswith("glue")]
SUPER_GLUE = [task for task in [*FLAT, *REFERENTS] if task.startswith("super")] + [RECORD, MULTIRC]


def record(task, index, output, prediction, **identity):
    made_by = {"task": task, "split": "test", "step": 1300, "checkpoint": "0123456789ab"}
    return {**made_by, "index": index, **identity, "output": output, "prediction": prediction}


def flat(task):
    count, texts = FLAT[task]
    for idx in range(count):
        choice = idx * 7 // 3 % len(texts)
        yield record(task, idx, texts[choice], choice, idx=idx)


def referents(task):
    for idx in range(REFERENTS[task]):
        yield record(task, idx, f"the noun {idx}", idx * 7 // 3 % 2, idx=idx)


def record_queries():
    """10,000 queries of passages that have one or two each."""
    for query in range(10000):
        text = f"Entität {query % 97}"
        identity = {"idx/passage": query * 2 // 3, "idx/query": query}
        yield record(RECORD, query, text, {"value": text}, **identity)


def multirc_answers():
    """9,693 answers of 166 passages, with about ten questions each of three to eight answers."""
    question = -1
    left = 0
    for answer in range(9693):
        passage = answer * 166 // 9693
        if left == 0 or passage != (answer - 1) * 166 // 9693:
            question += 1
            left = 3 + question % 6
        left -= 1
        identity = {"idx/paragraph": passage, "idx/question": question, "idx/answer": answer}
        value = answer * 7 // 3 % 2
        yield record(MULTIRC, answer, ("False", "True")[value], {"value": value}, **identity)


@functools.cache
def of(task):
    """The predictions of a task, in an order of no meaning."""
    if task in FLAT:
        rows = list(flat(task))
    elif task in REFERENTS:
        rows = list(referents(task))
    else:
        rows = list({RECORD: record_queries, MULTIRC: multirc_answers}[task]())
    random.Random(task).shuffle(rows)
    return rows
