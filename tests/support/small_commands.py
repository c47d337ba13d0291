"""Printed commands at a tiny size: two steps, one seed and a model of a few numbers.

Everything else is as printed: flags, gin files, splits, and the folders that models start from.
Tasks that need large data or T5's vocabulary are replaced by small ones (`small_tasks`).
"""

import pathlib

from mtf_synthesizer.cli import main

SMALLEST = (
    "d_model = 8",
    "num_layers = 1",
    "d_ff = 12",  # over two devices
    "num_heads = 2",
    "d_kv = 3",
    "batch_size = 2",
    "save_checkpoints_steps = 1",
)
# Experiment -> a task with the same splits.
REPLACED = {
    "table2_wmt14_ende": "synthesizer_test_small_translation",
    "table2_wmt14_enfr": "synthesizer_test_small_translation",
    "table3_cnn_dailymail": "synthesizer_test_small_summaries",
    "table3_personachat": "synthesizer_test_small_dialogue",
    "table4_c4": "synthesizer_test_small_spans",
    "table5_glue": "synthesizer_test_small_benchmark",
}
# Rows of a comparison that are run, the first of these: those of Table 5 start from Table 4's.
PREFERRED = ("t5", "r", "v", "dynconv", "linformer")
_MODULE = ["--module_import", "small_tasks"]
PREPARED = ("lm1b", "imdb", "ag_news")
TEXT = tuple(f"The sentence number {n} stands here for itself." for n in range(64))


def small(words, rows=2, params=()):
    """A command with two steps of a small model; nothing for what measures or counts.

    Args:
      words: words of the command, after the program's name.
      rows: rows of a comparison that are kept.
      params: further bindings of models.
    """
    words = list(words)
    if words[0] == "evaluate":
        return [*words, "--task", REPLACED["table5_glue"], *_MODULE]
    if words[0] not in ("compare", "train"):
        return []
    experiment = words[words.index("--experiment") + 1]
    if words[0] == "compare":
        named = words[words.index("--rows") + 1].split(",")
        kept = [row for row in PREFERRED if row in named][:rows]
        words += ["--rows", ",".join(kept), "--seeds", "0"]
    bindings = [*SMALLEST, *params]
    words += ["--steps", "2", "--vocabulary", "bytes"]
    if experiment in REPLACED:
        bindings.append(f"MIXTURE_NAME = '{REPLACED[experiment]}'")
        words += _MODULE
    return [*words, *(part for binding in bindings for part in ("--gin_param", binding))]


def prepare_data(folder: pathlib.Path, data: str = "data") -> None:
    """Write a few examples in the layout of the official files, and prepare them."""
    write_official_files(folder)
    for name in PREPARED:
        words = ["data", "prepare", "--benchmark", name, "--from", str(folder / name)]
        status = main.main([*words, "--tfds_data_dir", str(folder / data), "--allow_partial"])
        assert not status, f"{name} can't be prepared"


def write_official_files(folder: pathlib.Path) -> None:
    """Write the files that `data prepare` reads."""
    for name in (
        "training-monolingual.tokenized.shuffled/news.en-00001-of-00100",
        "heldout-monolingual.tokenized.shuffled/news.en.heldout-00000-of-00050",
    ):
        write(folder / "lm1b" / name, *TEXT)
    for split in ("train", "test"):
        lines = (f'"{n % 4 + 1}","Title {n}","{text}"' for n, text in enumerate(TEXT))
        write(folder / "ag_news" / f"{split}.csv", *lines)
        for label, rating in (("pos", 7), ("neg", 4)):
            for number, text in enumerate(TEXT[:8]):
                write(folder / "imdb" / split / label / f"{number}_{rating}.txt", text)


def write(path: pathlib.Path, *lines: str) -> None:
    """Write lines of text, in a new folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
