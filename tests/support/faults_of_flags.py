"""Mistakes of the command line: names, numbers, places. All are found before TensorFlow."""

from faults import Fault, folder, written

TRAIN = "train --model_dir new --task synthesizer_verses_v001"
RV = f"{TRAIN} --size tiny --synthesizer rv"
BENCH = "bench --size tiny --no_memory"
COST = "cost --synthesizer rv --size tiny"
MODEL = "--model_dir nowhere --task synthesizer_verses_v001"


NAMES = [
    Fault(
        "a command that is misspelt",
        "trian --steps 3",
        ("invalid choice: 'trian'", "Did you mean 'train'?"),
    ),
    Fault(
        "an option that is misspelt",
        f"{RV} --stpes 3",
        ("unknown option --stpes.", "Did you mean '--steps'"),
    ),
    Fault("an option without its value", "train --model_dir", ("--model_dir: expected one",)),
    Fault("an option that is needed", "predict --task t", ("required: --model_dir, --output",)),
    Fault(
        "a synthesizer that is misspelt",
        f"{TRAIN} --size tiny --synthesizer vr",
        ("unknown synthesizer 'vr'.", "Known:", "frv"),
    ),
    Fault(
        "a size that is misspelt",
        f"{TRAIN} --synthesizer r --size tyny",
        ("unknown size 'tyny'. Did you mean 'tiny'", "Known: base,"),
    ),
    Fault(
        "a run that is misspelt",
        f"{RV} --run pretrian",
        ("unknown run 'pretrian'. Did you mean 'pretrain'", "Known:"),
    ),
    Fault(
        "an experiment that is misspelt",
        "train --model_dir new --synthesizer r --experiment tabel4_c4",
        ("unknown experiment 'tabel4_c4'. Did you mean 'table4_c4'", "Known:"),
    ),
    Fault(
        "a row of a comparison that is misspelt",
        "compare --experiment imdb_small --rows v,lightcnov --output new",
        ("unknown synthesizer 'lightcnov'. Did you mean 'lightconv'", "Known:"),
    ),
    Fault("no synthesizer", f"{TRAIN} --size tiny", ("--synthesizer is missing: choose one of",)),
    Fault("no size", f"{TRAIN} --synthesizer rv", ("--size is missing: choose one of", "tiny")),
    Fault(
        "no task",
        "train --model_dir new --size tiny --synthesizer rv",
        ("--task is missing", "mtf_synthesizer list tasks"),
    ),
    Fault(
        "two schedules",
        "train --model_dir new --synthesizer r --experiment imdb_small --run pretrain",
        ("--experiment imdb_small has a schedule: leave out --run pretrain",),
    ),
    Fault(
        "a kind of export that is misspelt",
        "export --model_dir runs/m --mode greddy --output new",
        ("--decode: invalid choice: 'greddy'", "Did you mean 'greedy'"),
    ),
    Fault(
        "a list that there is not",
        "list sizs",
        ("invalid choice: 'sizs'", "Did you mean 'sizes'"),
    ),
    Fault(
        "T5's program without a folder",
        "t5 --gin_file=sizes/tiny.gin",
        ("--model_dir is missing", "a folder that all its runs share"),
    ),
]

NUMBERS = [
    Fault("no steps", f"{RV} --steps 0", ("--steps: '0' is not a whole number above 0",)),
    Fault("fewer steps than none", f"{RV} --steps=-3", ("'-3' is not a whole number above 0",)),
    Fault("a word for steps", f"{RV} --steps many", ("'many' is not a whole number above 0",)),
    Fault("an empty batch", f"{RV} --batch_size 0", ("--batch_size: '0' is not a whole number",)),
    Fault("a word for a seed", f"{RV} --seed now", ("--seed: invalid int value: 'now'",)),
    Fault(
        "no rows to compare",
        "compare --experiment imdb_small --rows , --output new",
        ("--rows: ',' is empty. Give one or more names",),
    ),
    Fault(
        "seeds that are no numbers",
        "compare --experiment imdb_small --rows v --seeds 0,one --output new",
        ("--seeds: '0,one' is not a list of whole numbers like 0,1,2",),
    ),
    Fault(
        "rows of a benchmark that there are not",
        f"{BENCH} --rows t5,q",
        ("unknown row 'q'.", "Known: stock,"),
    ),
    Fault(
        "no rows of a benchmark",
        f'{BENCH} --rows ""',
        ("--rows: the value is empty. Is a shell variable unset?",),
    ),
    Fault(
        "no measured steps",
        f"{BENCH} --steps 0",
        ("--steps 0: nothing to measure. Give 1 or more",),
    ),
    Fault(
        "dropout that is no number",
        f"{BENCH} --dropout nan",
        ("--dropout is nan; it must be in [0, 1)",),
    ),
    Fault(
        "more sequences than tokens in a row",
        f"{BENCH} --packed 33",
        ("--packed is 33; a row of 32 tokens holds 0 to 32 sequences",),
    ),
    Fault(
        "packed rows that are decoded",
        f"{BENCH} --packed 2 --mode greedy",
        ("--packed is 2, but decoding takes one sequence a row. Omit --packed",),
    ),
    Fault(
        "growth with one length",
        f"{BENCH} --sweep 64",
        ("--sweep 64: growth needs two lengths or more",),
    ),
    Fault(
        "lengths that a batch is no multiple of",
        f"{BENCH} --sweep 64,96",
        ("has 256 tokens, which don't divide into rows of 96. Give lengths that divide 256",),
    ),
    Fault(
        "more than all for V",
        "warm-start --from m --size small --synthesizer rv --model_dir new --alpha_v 1.5",
        ("--alpha_v: '1.5' is not a number in (0, 1)",),
    ),
    Fault(
        "a mesh that is no pairs",
        f"{COST} --mesh_shape batch4",
        ("--mesh_shape 'batch4': 'batch4' is not a pair. Write pairs like batch:4;model:2",),
    ),
    Fault(
        "a mesh without devices",
        f"{COST} --mesh_shape batch:0",
        ("--mesh_shape batch:0: '0' is not a number of devices.", "numbers from 1"),
    ),
    Fault(
        "an axis that is there twice",
        f"{COST} --mesh_shape batch:2;batch:4",
        ("axis 'batch' occurs 2 times",),
    ),
    Fault(
        "a layout for another mesh",
        f"{COST} --mesh_shape batch:2 --layout heads:modle",
        ("--layout heads:modle: the mesh has no axis 'modle'.", "--mesh_shape has batch"),
    ),
    Fault(
        "a layout without a mesh",
        f"{COST} --layout heads:model",
        ("--layout heads:model: --mesh_shape is missing. Give a mesh",),
    ),
    Fault(
        "a word for a batch size",
        f"{COST} --batch_size many",
        ("--batch_size: 'many' is not a whole number above 0",),
    ),
    Fault(
        "a binding of `cost` that is misspelt",
        f'{COST} --gin_param "d_fff = 3"',
        ("no gin file uses a macro 'd_fff'. Did you mean 'd_ff'",),
    ),
    Fault(
        "a table beside a configuration",
        "cost --table 4 --size tiny",
        ("--table 4: the table has its own configurations. Leave out --size",),
    ),
    Fault(
        "a layer that has no number",
        f"maps {MODEL} --layers 0 --output new",
        ("--layers: '0' is not a whole number above 0",),
    ),
    Fault(
        "maps of several checkpoints",
        f"maps {MODEL} --checkpoint all --output new",
        ("--checkpoint all: one checkpoint is drawn. Give latest, best or a step",),
    ),
    Fault(
        "a target for a task",
        f"maps {MODEL} --target x --output new",
        ("--target x: a task has its own targets. Leave it out",),
    ),
]

PLACES = [
    Fault(
        "a folder without a model",
        f"evaluate {MODEL}",
        ("nowhere is not the folder of a trained model", "operative_config.gin", "train"),
    ),
    Fault(
        "a start that there is not",
        f"{TRAIN} --init_checkpoint nowhere",
        ("no checkpoint at 'nowhere': give a folder with checkpoints", "model.ckpt-1000"),
    ),
    Fault(
        "a comparison to start from that there is not",
        "compare --experiment imdb_small --rows v --init_checkpoint nowhere --output new",
        ("--init_checkpoint nowhere: no such folder. Give the --output of an earlier comparison",),
    ),
    Fault(
        "an export of nothing",
        "export --model_dir nowhere --mode greedy --output new",
        ("nowhere is not the folder of a trained model", "operative_config.gin", "train"),
    ),
    Fault(
        "a list of checkpoints where there are none",
        "checkpoints list --model_dir nowhere",
        ("no checkpoint (model.ckpt-<step>.index and .data-...) in nowhere",),
    ),
    Fault(
        "a warm start from nothing",
        "warm-start --from nowhere --size small --synthesizer rv --model_dir new "
        "--task synthesizer_verses_v001",
        ("no checkpoint at 'nowhere': give a folder with checkpoints", "model.ckpt-1000"),
    ),
    Fault(
        "a vocabulary that there is not",
        f"{RV} --vocabulary absent.model",
        ("--vocabulary absent.model: no such file", "SentencePiece model, or the word bytes"),
    ),
    Fault(
        "a folder for a vocabulary",
        f"{RV} --vocabulary words",
        ("--vocabulary words is a folder. Give a SentencePiece model, or the word bytes",),
        folder("words"),
    ),
    Fault(
        "prepared data that is not there",
        f"{RV} --tfds_data_dir absent",
        ("--tfds_data_dir absent: no such file or folder.", "data prepare"),
    ),
    Fault(
        "a file for prepared data",
        f"{RV} --tfds_data_dir data.zip",
        ("--tfds_data_dir data.zip is a file. Give a folder that `data prepare` has written",),
        written("data.zip", "x"),
    ),
    Fault(
        "a cache that is not there",
        f"{RV} --additional_task_cache_dirs absent",
        ("--additional_task_cache_dirs absent: no such file", "a folder that `cache` has written"),
    ),
    *(
        Fault(
            f"a place under a file, for `{command.split()[0]}`",
            command,
            ("can't be written:", "file is not a folder"),
            written("file", "x"),
        )
        for command in (
            RV.replace("new", "file/new"),
            "compare --experiment imdb_small --rows v --output file/new",
            "demo --output file/new",
            "data prepare --benchmark glue --from . --tfds_data_dir file/new",
            "report . --output file/report.md",
            "submit --benchmark glue --predictions p.jsonl --output file/x.zip",
        )
    ),
    Fault(
        "a place where not even root can write",
        "report . --output /proc/none/report.md",
        ("/proc/none: No such file or directory",),
    ),
    Fault(
        "a report of another kind",
        "report . --output report.pdf",
        ("unknown kind of report '.pdf'.", "Known: .md, .html"),
    ),
    Fault(
        "results that are not there",
        "report absent --output report.md",
        ("absent: no such file or folder. Give folders with results",),
    ),
    Fault(
        "a leaderboard that is misspelt",
        "submit --benchmark superglu --predictions p --output x.zip",
        ("unknown benchmark 'superglu'. Did you mean 'superglue'",),
    ),
    Fault(
        "a benchmark of data that is misspelt",
        "data prepare --benchmark glu --from . --tfds_data_dir new",
        ("unknown benchmark 'glu'. Did you mean 'glue'", "Known:"),
    ),
    Fault(
        "official files that are not there",
        "data prepare --benchmark glue --from absent --tfds_data_dir new",
        ("--from absent: no such folder",),
    ),
    Fault(
        "none of the official files",
        "data prepare --benchmark glue --from . --tfds_data_dir new",
        ("no official file found, not even CoLA/train.tsv.", "data list"),
    ),
]

TABLES = {
    "Names": NAMES,
    "Numbers": NUMBERS,
    "Files and folders that are named": PLACES,
}
