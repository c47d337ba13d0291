"""The commands that `report` prints, run to their end at a tiny size: `make check-commands`.

Each comparison and each training has two steps, one seed and a model of a few numbers, in one
process. Data is a few sentences in the layout of the official files; tasks that need a whole
benchmark (Tables 5 and 6) and C4's vocabulary are replaced by embedded ones. Everything else is as
printed: flags, gin files, splits, and the folders that models start from.
"""

import os
import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
FOLDER = ROOT / "runs" / "check_commands"

SMALLEST = (
    "d_model = 8",
    "num_layers = 1",
    "d_ff = 11",
    "num_heads = 2",
    "d_kv = 3",
    "batch_size = 2",
    "save_checkpoints_steps = 1",
)
# Experiment -> a task that is made of the text that comes with the packages.
EMBEDDED = {
    "table2_wmt14_ende": "synthesizer_verses_v001",
    "table2_wmt14_enfr": "synthesizer_verses_v001",
    "table3_cnn_dailymail": "synthesizer_verses_v001",
    "table3_personachat": "synthesizer_verses_v001",
    "table4_c4": "synthesizer_verse_spans_v001",
    "table5_glue": "synthesizer_verses_v001",
}
# Two rows of a comparison, the first of these: those of Table 5 start from those of Table 4.
PREFERRED = ("t5", "r", "v", "dynconv", "linformer")
ROWS = 2
TEXT = tuple(f"The sentence number {n} stands here for itself.\n" for n in range(64))


def main() -> int:
    """The number of commands that failed."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    os.chdir(FOLDER)
    _write_data()
    from printed_commands import of_report

    from mtf_synthesizer.cli import main as cli

    _prepared(cli, "lm1b", "imdb", "ag_news")
    failed = []
    for printed in of_report(FOLDER / "nothing"):
        words = _small(printed.words)
        if words:
            print("$", *words, flush=True)
            if cli.main(words):
                failed.append(printed.text)
    print(*(f"FAILED: {text}" for text in failed), sep="\n")
    return len(failed)


def _prepared(cli, *benchmarks):
    for name in benchmarks:
        words = ["data", "prepare", "--benchmark", name, "--from", name, "--tfds_data_dir", "data"]
        if cli.main([*words, "--allow_partial"]):
            raise SystemExit(f"{name} can't be prepared")


def _small(words):
    """A command with a few steps of a small model; nothing for what measures or counts."""
    if words[0] not in ("compare", "train", "evaluate"):
        return []
    words = list(words)
    if words[0] == "evaluate":
        words[words.index("--task") + 1] = EMBEDDED["table5_glue"]
        return words
    experiment = words[words.index("--experiment") + 1]
    if words[0] == "compare":
        rows = words[words.index("--rows") + 1].split(",")
        kept = [row for row in PREFERRED if row in rows][:ROWS]
        words[words.index("--rows") + 1] = ",".join(kept)
        words[words.index("--seeds") + 1] = "0"
    params = [*SMALLEST]
    if experiment in EMBEDDED:
        params.append(f"MIXTURE_NAME = '{EMBEDDED[experiment]}'")
    words += ["--steps", "2", "--vocabulary", "bytes"]
    return [*words, *(part for param in params for part in ("--gin_param", param))]


def _write_data():
    (FOLDER / "nothing").mkdir()
    lm1b = FOLDER / "lm1b"
    for name in (
        "training-monolingual.tokenized.shuffled/news.en-00001-of-00100",
        "heldout-monolingual.tokenized.shuffled/news.en.heldout-00000-of-00050",
    ):
        _write(lm1b / name, *TEXT)
    for split in ("train", "test"):
        _write(
            FOLDER / "ag_news" / f"{split}.csv",
            *(f'"{n % 4 + 1}","Title {n}","{text.strip()}"\n' for n, text in enumerate(TEXT)),
        )
        for label, rating in (("pos", 7), ("neg", 4)):
            for number, text in enumerate(TEXT[:8]):
                _write(FOLDER / "imdb" / split / label / f"{number}_{rating}.txt", text)


def _write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
