"""A few test examples of every data set of GLUE and SuperGLUE, as directories for TFDS."""

import functools

from glue_files import dataset

from mtf_synthesizer.data import prepared

COUNT = 5
PAIRS = {
    "mrpc": ("sentence1", "sentence2"),
    "stsb": ("sentence1", "sentence2"),
    "mnli_matched": ("premise", "hypothesis"),
    "mnli_mismatched": ("premise", "hypothesis"),
    "qnli": ("question", "sentence"),
    "qqp": ("question1", "question2"),
    "rte": ("sentence1", "sentence2"),
    "ax": ("premise", "hypothesis"),
}
SUPER_PAIRS = {
    "boolq": ("question", "passage"),
    "cb": ("premise", "hypothesis"),
    "copa": ("premise", "choice1", "choice2", "question"),
    "rte": ("premise", "hypothesis"),
    "axb": ("sentence1", "sentence2"),
    "axg": ("premise", "hypothesis"),
}


def numbered(*texts, **more):
    """Rows whose texts hold their number."""
    return [
        {**{name: f"{name} {idx}" for name in texts}, **more, "label": -1, "idx": idx}
        for idx in range(COUNT)
    ]


def acceptability(idx):
    return ("acceptable", "unacceptable", "unacceptable")[idx % 3]


def wnli():
    return [
        {
            "sentence1": f"The fish number {idx} ate the worm. It was tasty.",
            "sentence2": "The worm was tasty.",
            "label": -1,
            "idx": idx,
        }
        for idx in range(COUNT)
    ]


def wsc():
    where = {"span1_index": 4, "span2_index": 6, "span1_text": "Tom", "span2_text": "he"}
    return [
        {
            "text": f"Mitchell number {idx} asked Tom if he could go.",
            **where,
            "label": -1,
            "idx": idx,
        }
        for idx in range(COUNT)
    ]


def multirc():
    """Two paragraphs; the questions have one, two and two answers."""
    places = [(0, 0), (0, 1), (0, 1), (1, 2), (1, 2)]
    return [
        {
            "paragraph": f"<b>Paragraph {paragraph}",
            "question": f"Question {question}?",
            "answer": f"Answer {answer}",
            "label": -1,
            "idx": {"paragraph": paragraph, "question": question, "answer": answer},
        }
        for answer, (paragraph, question) in enumerate(places)
    ]


def record():
    return [
        {
            "passage": f"Ann met Bob {query}.\n@highlight\nThey met.",
            "query": "@placeholder was met.",
            "entities": ["Ann", "Bob"],
            "answers": [],
            "idx": {"passage": query // 2, "query": query},
        }
        for query in range(COUNT)
    ]


GLUE = {
    "cola": functools.partial(numbered, "sentence"),
    "sst2": functools.partial(numbered, "sentence"),
    **{name: functools.partial(numbered, *texts) for name, texts in PAIRS.items()},
    "wnli": wnli,
}
SUPERGLUE = {
    **{name: functools.partial(numbered, *texts) for name, texts in SUPER_PAIRS.items()},
    "wic": functools.partial(
        numbered, "word", "sentence1", "sentence2", start1=0, start2=0, end1=1, end2=1
    ),
    "multirc": multirc,
    "record": record,
    "wsc.fixed": wsc,
}


def write(folder):
    """Writes the test splits; CoLA gets a training split of the same sentences, with answers."""
    for benchmark, examples in (("glue", GLUE), ("superglue", SUPERGLUE)):
        for name, rows in examples.items():
            splits = {"test": rows()}
            if name == "cola":
                splits["train"] = [row | {"label": acceptability(row["idx"])} for row in rows()]
            prepared.write(dataset(benchmark, name), splits, folder)
