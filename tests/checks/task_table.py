"""The table of tasks in docs/tasks.md: python tests/checks/task_table.py > docs/tasks.md

Which table of the paper a task belongs to, and the lengths there, stand here; all else comes from
the tasks and from the data sets that `data prepare` knows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from mtf_synthesizer.data import catalogue
from mtf_synthesizer.data.spec import Dataset, Split
from mtf_synthesizer.runtime import loading
from mtf_synthesizer.tasks import metrics, t5_mixtures, text_metrics
from mtf_synthesizer.tasks.metrics import Metric
from mtf_synthesizer.tasks.synthetic import PROBLEMS, Problem

loading.load_tensorflow(verbose=False)

import seqio  # noqa: E402

NOT_STATED = "not stated"
T5_LENGTHS = "512 / 114"
WNLI = ("glue_wnli_v002", "glue_wnli_v002_simple_eval")


@dataclasses.dataclass(frozen=True)
class Group:
    """Rows under one heading.

    Attributes:
      heading: with the paper's table.
      tasks: in the order of the rows.
      lengths: of inputs and targets in the paper.
      remark: below the heading.
    """

    heading: str
    tasks: Sequence[str]
    lengths: str
    remark: str = ""


GROUPS = (
    Group(
        "Table 2: translation",
        ("synthesizer_wmt14_ende_v001", "synthesizer_wmt14_enfr_v001"),
        "256 / 256",
        "T5's `wmt14_ende_v003` and `wmt14_enfr_v003` are the same but for the metric: BLEU with "
        "sacreBLEU's tokenizer intl.",
    ),
    Group(
        "Table 2: language modelling",
        ("synthesizer_lm1b_v001",),
        "256, packed",
        "Decoder only: sizes ending in `_lm`. Word perplexity is `exp(loss * tokens / words)`, the "
        "end of a sentence or line counted as a word.",
    ),
    Group(
        "Table 3: summarization and dialogue",
        ("synthesizer_cnn_dailymail_v001", "synthesizer_personachat_v001"),
        NOT_STATED,
        "T5's `cnn_dailymail_v002` is the same as ours, but in T5's own commands, where its ROUGE "
        "is a random resampling without ROUGE-L.",
    ),
    Group("Table 4: span corruption", (t5_mixtures.C4,), T5_LENGTHS),
    Group(
        "Table 4: masked tokens",
        ("synthesizer_c4_mlm_v001",),
        "512 / 512",
        "Encoder only: sizes ending in `_encoder`, trained without packing.",
    ),
    Group(
        "Table 5: GLUE",
        (*t5_mixtures.GLUE, *WNLI),
        T5_LENGTHS,
        "T5's own tasks, unchanged. In T5's mixtures WNLI is not trained on; "
        "`glue_wnli_v002_simple_eval` asks it as T5 asks WSC.",
    ),
    Group(
        "Table 6: SuperGLUE",
        tuple(t5_mixtures.SUPER_GLUE),
        T5_LENGTHS,
        "T5's own tasks, unchanged. WSC as T5 does it: the true referents of its training split "
        "and those of definite pronoun resolution (`dpr`) are decoded.",
    ),
    Group("Tables 5 and 6: the rest of the mixture", (t5_mixtures.SQUAD,), T5_LENGTHS),
    Group(
        "Table 7: classification",
        ("synthesizer_ag_news_v001", "synthesizer_imdb_v001"),
        f"{NOT_STATED}; 1000 in the Long Range Arena",
        "Encoder only: sizes ending in `_encoder`, trained without packing. "
        "`synthesizer_ag_news_text_v001` and `synthesizer_imdb_text_v001` are the same as text to "
        "text.",
    ),
    Group(
        "Long Range Arena: Text",
        ("synthesizer_imdb_bytes_v001",),
        "1000 in the Long Range Arena",
        "Encoder only, as the tasks of Table 7; the inputs are bytes whatever `--vocabulary` says. "
        "Long Range Arena's ListOps is below.",
    ),
    Group(
        "Small, for laptops",
        (
            "synthesizer_multi30k_ende_v001",
            "synthesizer_multi30k_enfr_v001",
            "synthesizer_wikitext2_v001",
            "synthesizer_tiny_shakespeare_v001",
            "synthesizer_personachat_small_v001",
        ),
        "not in the paper",
        "WikiText-2 and tiny Shakespeare are decoder only. Examples of WikiText-2 are articles, "
        "those of tiny Shakespeare the whole text of a split, always read as bytes. "
        "`synthesizer_personachat_small_v001` splits PersonaChat's validation file by the last "
        "digit of a dialogue's number (8 validates, 9 tests), for where there is no training file: "
        "its figures compare with no published ones.",
    ),
)

INTRODUCTION = """\
# Tasks on published data

Made by `python tests/checks/task_table.py > docs/tasks.md`; a test compares.

`mtf_synthesizer data prepare --benchmark NAME --from FOLDER --tfds_data_dir OUT` makes the data of
a row ready from official files, `mtf_synthesizer data list` shows which files it looks for, and
with `--tfds_data_dir OUT` all tasks read them without a network. Numbers of examples are the
published ones; some data sets have releases of different sizes. Lengths are the paper's, in tokens
of inputs / targets. Tasks without decoding are measured by the loss of their true targets.
"""

SYNTHETIC = """\
## Synthetic tasks

They need no data: [synthetic_tasks.md](synthetic_tasks.md). Tasks of the first column are for an
encoder only, trained without packing; those of the second ask the same as text to text. The metrics
are exact match and accuracy of symbols.

| task | as text | examples |
|---|---|---|
"""

MIXTURES = """\
## Mixtures

| mixture | tasks |
|---|---|
| `synthesizer_en_mix_v001` | T5's `en_mix`: all of Tables 5 and 6 but WNLI, with SQuAD and C4 |
| `synthesizer_en_mix_no_squad_v001` | the same without SQuAD |
| `synthesizer_en_mix_no_c4_v001` | the same without C4 |
| `synthesizer_en_mix_no_squad_no_c4_v001` | the same without either |
| `synthesizer_glue_small_v001` | CoLA, SST-2, MRPC and RTE, as many times as they have examples |
| `glue_v002_proportional`, `super_glue_v102_proportional` | T5's own |

Rates are T5's functions: a task counts as many times as it has examples
(`t5.data.rate_num_examples`), C4 a million times (`t5.data.rate_unsupervised`); what one binds to
them in gin acts here too. C4 is `c4_v220_span_corruption`, T5's final objective, where T5's
`en_mix` has `c4_v020_unsupervised`, whose objective must be bound in gin. All data sets of a
mixture must have been prepared."""

LOSS = "log-perplexity"
WITH_WORDS = ("synthesizer_lm1b_v001", "synthesizer_wikitext2_v001")
IN_BYTES = ("synthesizer_tiny_shakespeare_v001",)
# Functions of T5 that have no name of their own.
NAMED = {
    "glue_cola_v002": ("Matthews",),
    "super_glue_cb_v102": ("mean F1", "accuracy"),
    "super_glue_multirc_v102": ("F1a", "exact match"),
    "super_glue_record_v102": ("F1", "exact match"),
    "squad_v010_allanswers": ("F1", "exact match"),
}
METRICS = {
    "accuracy": "accuracy",
    "f1_score_with_invalid": "F1",
    "similarity_pearson": "Pearson",
    "similarity_spearman": "Spearman",
    "rouge": "ROUGE-1, ROUGE-2, ROUGE-L, ROUGE-Lsum",
    "caption_bleu": "BLEU-1 to 4",
    "caption_rouge_l": "ROUGE-L",
    "meteor": "METEOR",
    "cider": "CIDEr",
}
BLEU = {"bleu": "BLEU (sacreBLEU 13a)", "tokenized_bleu": "tokenized BLEU"}


def document() -> str:
    """The whole of docs/tasks.md."""
    known = {
        dataset.tfds_name: (benchmark, dataset)
        for benchmark in catalogue.BENCHMARKS
        for dataset in catalogue.datasets(benchmark)
    }
    parts = [INTRODUCTION]
    for group in GROUPS:
        rows = [_row(task, *known[_source(task)], group.lengths) for task in group.tasks]
        remark = [group.remark, ""] if group.remark else []
        parts.append("\n".join([f"## {group.heading}", "", *remark, *_HEAD, *rows, ""]))
    return "\n".join(
        [*parts, SYNTHETIC + "".join(map(_synthetic_row, PROBLEMS.values())), MIXTURES]
    )


def _synthetic_row(problem: Problem) -> str:
    names = (f"`synthesizer_{problem.name}{form}_v001`" for form in ("", "_text"))
    splits = "; ".join(f"{split} {size:,}" for split, size in problem.sizes.items())
    return f"| {' | '.join((*names, splits))} |\n"


_HEAD = (
    "| task | benchmark | data set | examples | metrics | lengths |",
    "|---|---|---|---|---|---|",
)


def _source(task: str) -> str:
    return seqio.TaskRegistry.get(task).source.tfds_dataset.name


def _row(task: str, benchmark: str, dataset: Dataset, lengths: str) -> str:
    cells = (
        f"`{task}`",
        f"`{benchmark}`",
        f"`{dataset.tfds_name}`",
        "; ".join(_splits(task, dataset)),
        ", ".join(_metrics(seqio.TaskRegistry.get(task))),
        lengths,
    )
    return f"| {' | '.join(cells)} |"


def _splits(task: str, dataset: Dataset) -> Iterator[str]:
    """The splits that a task reads, with their published numbers of examples."""
    own = seqio.TaskRegistry.get(task).source._splits  # all, if it names none
    first: dict[str, Split] = {}
    for split in dataset.splits:
        first.setdefault(split.name, split)
    for name, split in first.items():
        if not own or name in own:
            counts = " or ".join(f"{count:,}" for count in split.counts)
            yield f"{name} {counts}"


def _metrics(task: seqio.Task) -> Sequence[str]:
    found = metrics.of(task)
    if task.name in NAMED:
        return NAMED[task.name]
    if not found:
        return _without_decoding(task)
    return [_name(metric) for metric in found]


def _name(metric: Metric) -> str:
    if isinstance(metric, text_metrics.Bleu):
        return BLEU[metric.key]
    return METRICS[metric.__name__]


def _without_decoding(task: seqio.Task) -> Sequence[str]:
    if tuple(task.source._splits) == ("test",):
        return ["none: no labels"]
    if task.name in WITH_WORDS:
        return [LOSS, "word perplexity"]
    return [LOSS, "bits per byte"] if task.name in IN_BYTES else [LOSS]


if __name__ == "__main__":
    print(document())
