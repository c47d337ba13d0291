"""Every command that the report, the documentation and the help print, and their checks."""

import dataclasses
import functools
import itertools
import pathlib
import re
import shlex

from mtf_synthesizer.cli import bench, cost
from mtf_synthesizer.cli.commands import COMMANDS, parser
from mtf_synthesizer.cli.own_data import read_own_data
from mtf_synthesizer.config import gin_files
from mtf_synthesizer.config.lint import names
from mtf_synthesizer.config.request import Request, requested
from mtf_synthesizer.config.statements import macro
from mtf_synthesizer.data import catalogue
from mtf_synthesizer.model_folder.own_data import OwnData
from mtf_synthesizer.studies.compare import plan
from mtf_synthesizer.studies.report import files, tables

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGES = (ROOT / "README.md", ROOT / "gin/README.md", *sorted((ROOT / "docs").glob("*.md")))
# Models of T5 and of transformers that a user has.
_FROM_ELSEWHERE = ("t5_small/model.ckpt-1000000", "flan-t5-small")
DEMO_RUNS = ("pretrain", "finetune")
# Mixture of an experiment -> the benchmark whose splits it has; other tasks have all three.
_DATA = {
    "c4": "c4",
    "glue": "glue",
    "synthesizer_en_mix": "glue",
    "synthesizer_glue": "glue",
    "synthesizer_wmt14": "wmt14",
    "synthesizer_lm1b": "lm1b",
    "synthesizer_cnn_dailymail": "cnn_dailymail",
    "synthesizer_personachat": "personachat",
    "synthesizer_ag_news": "ag_news",
    "synthesizer_imdb": "imdb",
}


@dataclasses.dataclass(frozen=True)
class Printed:
    """A command and the page that prints it."""

    page: str
    text: str

    @property
    def words(self):
        return shlex.split(self.text)[1:]

    @functools.cached_property
    def args(self):
        return _parser().parse_args(self.words)


_parser = functools.cache(parser)  # building it takes longer than parsing


def of_report(folder):
    """The commands of a report on a folder without results, in order."""
    sections = tables.sections(files.collect([str(folder)]))
    printed = [Printed("report", command) for s in sections for command in s.missing]
    return list(dict.fromkeys(each for command in printed for each in _unrolled(command)))


def _unrolled(printed):
    """One command for each turn of a loop, without the file that it is written to."""
    loop = re.fullmatch(r"for (\w+) in (.+); do (.+); done", printed.text)
    texts = [printed.text]
    if loop:
        texts = [loop[3].replace(f"${loop[1]}", value) for value in loop[2].split()]
    return [Printed(printed.page, re.sub(r" > \S+$", "", text)) for text in texts]


def of_pages():
    """The whole commands of the documentation: indented lines, loops, and `bench` in backticks."""
    return [each for page in PAGES for each in _of_page(page)]


def _of_page(page):
    text = page.read_text()
    lines = re.findall(
        r"^    ((?:mtf_synthesizer [a-z]|for \w+ in .*; do mtf_synthesizer ).*)$",
        text.replace("\\\n", " "),
        re.MULTILINE,
    )
    inline = (
        " ".join(words.split()) for words in re.findall(r"`(mtf_synthesizer bench [^`]+)`", text)
    )
    lines += [words for words in inline if re.search(r" --[a-z_]+ [^- ]", words)]
    name = page.relative_to(ROOT).as_posix()
    return [
        each
        for line in lines
        if "..." not in line and "-> NAME" not in line and not re.search(r" [A-Z]{3,}\b", line)
        for each in _unrolled(Printed(name, line.partition("   #")[0].strip()))
    ]


def of_help():
    """The examples of each command's help."""
    return [
        Printed(f"{name} --help", line.strip())
        for name, command in COMMANDS.items()
        for line in command.module.EXAMPLE.replace("\\\n", "").splitlines()
        if line.strip().startswith("mtf_synthesizer")
    ]


def check_configuration(printed):
    """Raises unless names, gin files and bindings exist, and tables hold the rows."""
    args, command = printed.args, printed.words[0]
    if command not in ("compare", "train"):
        for file in getattr(args, "gin_file", None) or []:
            gin_files.find_gin_file(file)
        if command in _CHECKS:
            _CHECKS[command](args)
        return
    for configuration in configurations(printed):
        later = getattr(args, "evaluation_gin_file", [])
        names.check([*configuration.files, *later], configuration.params, configuration.modules)


def configurations(printed):
    """The configurations that a command trains."""
    args = printed.args
    if printed.words[0] == "compare":
        return [_compared(args, row) for row in args.rows]
    return [_trained(args)]


def _check_warm_start(args):
    for kind, name in (("synthesizers", args.synthesizer), ("sizes", args.size)):
        if name is not None:
            gin_files.gin_file(kind, name)


def _check_data(args):
    if args.data_command == "prepare":
        catalogue.datasets(args.benchmark)


_CHECKS = {
    "bench": bench.check,
    "cost": cost.check,
    "warm-start": _check_warm_start,
    "data": _check_data,
}


def _compared(args, row):
    wanted = plan.ComparisonPlan(
        args.experiment, [row], gin_files=args.gin_file, gin_params=args.gin_param
    )
    return requested(plan.request(wanted, row, 0))


def _trained(args):
    """The configuration; of a model that is read from a folder, any other's."""
    own = args.synthesizer or args.size
    data = read_own_data(args)
    if not (data or args.task or args.experiment or args.gin_file):  # that of --init_checkpoint
        data = OwnData({"train": "pairs.tsv"})
    return requested(
        Request(
            task=args.task,
            synthesizer=args.synthesizer if own else "v",
            size=args.size if own or args.experiment else "tiny",
            run=args.run,
            experiment=args.experiment,
            gin_files=args.gin_file,
            gin_params=args.gin_param,
            modules=args.module_import,
            own_data=data,
        )
    )


def task(printed):
    """The (first) task that a command trains on or reads; None without one."""
    args = printed.args
    named = getattr(args, "task", None)
    if named:
        return named if isinstance(named, str) else named[0]
    if not getattr(args, "experiment", None):
        return None
    files_of = [gin_files.gin_file("experiments", args.experiment), *args.gin_file]
    return macro("MIXTURE_NAME", files_of, args.gin_param)


def splits(printed):
    """The splits that a command reads of its task."""
    args = printed.args
    if task(printed) is None:
        return set()
    found = (getattr(args, name, None) for name in ("split", "validation_split"))
    return {split for split in found if split}


def known_splits(printed):
    """The splits of the data behind a task."""
    name = task(printed)
    benchmark = next((name_of for start, name_of in _DATA.items() if name.startswith(start)), None)
    if benchmark is None:
        return {"train", "validation", "test"}
    first, *_ = catalogue.datasets(benchmark)  # the others have as many splits, or are parts of it
    return {split.name for split in first.splits}


def starts(printed):
    """The folders of models that a command begins with or reads; not those from elsewhere."""
    args = printed.args
    begins = [getattr(args, name, None) for name in ("init_from", "init_checkpoint")]
    reads = printed.words[0] in ("evaluate", "predict", "export", "maps", "checkpoints")
    folders = getattr(args, "model_dir", None) if reads else None
    begins += folders if isinstance(folders, list) else [folders]
    return {folder for folder in begins if folder and folder not in _FROM_ELSEWHERE}


def makes(printed):
    """The folders of the models that a command leaves behind, and of their comparison."""
    args, command = printed.args, printed.words[0]
    if command == "demo":
        return {f"runs/demo/{row}/{run}" for row in ("v", "r", "rv") for run in DEMO_RUNS}
    if command == "compare":
        models = itertools.product(args.rows, args.seeds)
        of_comparison = (plan.model_dir(pathlib.Path(args.output), *model) for model in models)
        return {args.output, *map(str, of_comparison)}
    folder = args.model_dir if command in ("train", "warm-start") else getattr(args, "output", None)
    if not isinstance(folder, str):
        return set()
    of_row = re.fullmatch(r"(.*)/\w+_seed\d+", folder)
    return {folder, of_row[1]} if of_row else {folder}
