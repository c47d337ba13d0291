"""Damaged folders of models, beside prepared data: see `fault_place`."""

import shutil

from faults import Fault, cut, folder, removed, replaced, written

TASK = "synthesizer_multi30k_ende_v001"
DATA = "--tfds_data_dir data"
NEW = f"train --model_dir new --task {TASK} --size tiny {DATA} --vocabulary bytes --steps 2"
EVALUATE = f"evaluate --model_dir runs/m --task {TASK} {DATA}"
LINES = "predict --model_dir runs/m"
PREDICT = f"{LINES} {DATA}"
COST = "cost --size tiny"
RECORDS = ("new", "new/run.lock", "new/run.json", "new/vocabulary.json", "new/vocabulary.model")


def cut_before(path, line):
    """Keep what stands before a line of a file."""
    kept, found, _ = path.read_bytes().partition(b"\n" + line)
    assert found
    path.write_bytes(kept + b"\n")


def evaluated(title, *said, more="", change=lambda place: None, late=True):
    return Fault(title, f"{EVALUATE} {more}".strip(), said, change, late)


def trained(title, more, *said, change=lambda place: None, leaves=RECORDS):
    return Fault(title, f"{NEW} {more}", said, change, True, leaves)


CUT = b"# Parameters for make_bitransformer:"

FOLDERS = [
    evaluated(
        "a step that there is not",
        "no checkpoint '4' in runs/m: choose latest, all, best or one of 0, 2",
        more="--checkpoints 4",
        late=False,
    ),
    evaluated(
        "a word for a step",
        "no checkpoint 'bset' in runs/m: choose latest, all, best or one of",
        more="--checkpoints bset",
        late=False,
    ),
    evaluated(
        "the best step without a report",
        "names no best step of synthesizer_multi30k_ende_v001 among the checkpoints",
        "--split validation --checkpoint all",
        more="--checkpoints best",
        late=False,
    ),
    evaluated(
        "a report that is cut off",
        f"runs/m/eval_{TASK}_validation.json is not a report of an evaluation",
        more="--checkpoints best",
        change=written(f"runs/m/eval_{TASK}_validation.json", '{"best": [{"task"'),
        late=False,
    ),
    evaluated(
        "an index of a checkpoint that is cut off",
        "no checkpoint '2' in runs/m: choose latest, all, best or one of 0",
        more="--checkpoints 2",
        change=cut("runs/m/model.ckpt-2.index", -9),
        late=False,
    ),
    evaluated(
        "an index of a checkpoint that is damaged",
        "a checkpoint can't be read: its files are damaged or truncated. Choose an earlier ",
        change=replaced("runs/m/model.ckpt-2.index", b"layer_000", b"layer_0\xff0"),
    ),
    evaluated(
        "values of a checkpoint that are cut off",
        "a checkpoint can't be read: its files are damaged or truncated. Choose an earlier ",
        change=cut("runs/m/model.ckpt-2.data-00001-of-*", 100),
    ),
    evaluated(
        "a checkpoint without its values",
        "no checkpoint '2' in runs/m: choose latest, all, best or one of 0",
        more="--checkpoints 2",
        change=removed("runs/m/model.ckpt-2.data-*"),
        late=False,
    ),
    evaluated(
        "a folder without checkpoints",
        "no checkpoint (model.ckpt-<step>.index and .data-...) in runs/m",
        change=removed("runs/m/model.ckpt-*"),
        late=False,
    ),
    evaluated(
        "a configuration that is cut off",
        "the configuration is incomplete",
        "Is one of runs/m/operative_config.gin truncated",
        change=lambda place: cut_before(place / "runs/m/operative_config.gin", CUT),
    ),
    evaluated(
        "a configuration that is empty",
        "the configuration names no task",
        "is its operative_config.gin empty or truncated?",
        change=written("runs/m/operative_config.gin", ""),
    ),
    evaluated(
        "a configuration that is no text",
        "operative_config.gin: not UTF-8 text",
        change=written("runs/m/operative_config.gin", "d_model = 8\n".encode("utf-16")),
        late=False,
    ),
    evaluated(
        "a record of a vocabulary that is cut off",
        "runs/m/vocabulary.json is not a record of a vocabulary",
        "Remove the file if",
        change=cut("runs/m/vocabulary.json", 50),
        late=False,
    ),
    evaluated(
        "another vocabulary than the model's",
        "have another vocabulary than the model in runs/m: kind is sentencepiece",
        more="--vocabulary words.model",
    ),
    evaluated(
        "a report in place of another file",
        "runs/m/run.json is not a report of an evaluation",
        "choose another file with --output",
        more="--output runs/m/run.json",
    ),
    evaluated(
        "a report in place of a folder",
        "runs is a folder: give the name of a file",
        more="--output runs",
        late=False,
    ),
    evaluated(
        "a folder in place of the report in the model's folder",
        f"runs/m/eval_{TASK}_validation.json is a folder: give the name of a file",
        change=folder(f"runs/m/eval_{TASK}_validation.json"),
        late=False,
    ),
    Fault(
        "a record of a run that is cut off",
        NEW.replace("new", "runs/m"),
        ("runs/m/run.json is not a record of a run", "Remove the file if"),
        cut("runs/m/run.json", 50),
    ),
    Fault(
        "another run in a folder",
        NEW.replace("new", "runs/m") + " --synthesizer v",
        (
            "runs/m: the folder holds another run: --synthesizer rv, not --synthesizer v",
            "another --model_dir",
        ),
    ),
    Fault(
        "another synthesizer for a model that has its own",
        f"warm-start --from runs/m --task {TASK} --synthesizer rdv --model_dir new",
        (
            "--synthesizer rdv: the model in runs/m has synthesizers of its own. Give --size and",
            "or leave --synthesizer out",
        ),
    ),
    trained(
        "a start from another model",
        "--synthesizer v --init_checkpoint runs/m",
        "--init_checkpoint runs/m/model.ckpt-2 belongs to another model: the variable",
        "Give the --synthesizer, --size and lengths of its training",
    ),
    Fault(
        "a comparison to start from without one of the seeds",
        "compare --experiment imdb_small --rows rv --seeds 0,1 --init_checkpoint earlier "
        "--output new",
        (
            "--init_checkpoint earlier lacks the model of row rv and seed 1: no checkpoint in",
            "earlier/rv_seed1. Give --rows and --seeds that were trained there",
        ),
        lambda place: shutil.copytree(place / "runs/m", place / "earlier/rv_seed0"),
    ),
    Fault(
        "predictions in place of another file",
        f"{PREDICT} --task {TASK} --split validation --output words.model",
        ("--output words.model: the file exists and does not hold predictions. Choose another",),
        late=True,
    ),
    Fault(
        "predictions in place of a folder",
        f"{PREDICT} --task {TASK} --output runs",
        ("runs is a folder: give the name of a file",),
    ),
    Fault(
        "an export in place of a folder",
        "export --model_dir runs/m --mode greedy --output data",
        ("--output data exists and is not empty: choose a new folder",),
    ),
    Fault(
        "lines to predict that are not there",
        f"{LINES} --input absent.txt --output new.txt",
        ("--input absent.txt: no such file. Give a text file, or - to pipe in",),
    ),
    Fault(
        "a split of lines to predict",
        f"{LINES} --input words.model --split test --output new.txt",
        ("--input has no splits. Leave --split out",),
    ),
    Fault(
        "prepared data for lines to predict",
        f"{LINES} --input words.model {DATA} --output new.txt",
        ("--input needs no prepared data. Leave --tfds_data_dir out",),
    ),
    Fault(
        "lines to predict in Latin-1",
        f"{LINES} --input lines.txt --output new.txt",
        ("lines.txt, line 2: not UTF-8 text",),
        written("lines.txt", "One\ncaf\u00e9\n".encode("latin-1")),
        late=True,
    ),
    Fault(
        "predictions of a benchmark in place of a file",
        f"{PREDICT} --benchmark glue --output words.model",
        ("words.model can't be written:", "words.model is not a folder"),
    ),
]

TABLES = {"Folders of models": FOLDERS}
