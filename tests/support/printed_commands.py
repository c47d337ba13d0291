"""Every command that the report, the documentation and the help print, and their checks."""

import dataclasses
import pathlib
import re
import shlex

from mtf_synthesizer.cli.commands import COMMANDS, parser
from mtf_synthesizer.config import gin_files
from mtf_synthesizer.config.lint import names
from mtf_synthesizer.config.request import Request, requested
from mtf_synthesizer.config.statements import macro
from mtf_synthesizer.data import catalogue
from mtf_synthesizer.studies.compare import plan
from mtf_synthesizer.studies.report import files, tables

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGES = (ROOT / "README.md", ROOT / "gin/README.md", *sorted((ROOT / "docs").glob("*.md")))
# Mixture of an experiment -> the benchmark whose splits it has; other tasks have all three.
_DATA = {
    "c4": "c4",
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

    @property
    def args(self):
        return parser().parse_args(self.words)


def of_report(folder):
    """The commands of a report on a folder without results, in order."""
    sections = tables.sections(files.collect([str(folder)]))
    printed = [Printed("report", command) for s in sections for command in s.missing]
    return list(dict.fromkeys(each for command in printed for each in _unrolled(command)))


def _unrolled(printed):
    """One command for each turn of a loop, without the file that it is written to."""
    loop = re.fullmatch(r"for row in (.+); do (.+); done", printed.text)
    texts = [loop[2].replace("$row", row) for row in loop[1].split()] if loop else [printed.text]
    return [Printed(printed.page, re.sub(r" > \S+$", "", text)) for text in texts]


def of_pages():
    """The whole commands of the documentation."""
    return [
        Printed(page.relative_to(ROOT).as_posix(), command)
        for page in PAGES
        for command in re.findall(
            r"^    (mtf_synthesizer [a-z].*)$", page.read_text(), re.MULTILINE
        )
        if "..." not in command and not command.endswith("\\")
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
    args = printed.args
    if printed.words[0] == "compare":
        configurations = [_compared(args, row) for row in args.rows]
    elif printed.words[0] == "train":
        configurations = [_trained(args)]
    else:
        for file in getattr(args, "gin_file", None) or []:
            gin_files.find_gin_file(file)
        return
    for configuration in configurations:
        later = getattr(args, "evaluation_gin_file", [])
        names.check([*configuration.files, *later], configuration.params, configuration.modules)


def _compared(args, row):
    wanted = plan.ComparisonPlan(
        args.experiment, [row], gin_files=args.gin_file, gin_params=args.gin_param
    )
    return requested(plan.request(wanted, row, 0))


def _trained(args):
    """The configuration; of a model that is read from a folder, any other's."""
    own = args.synthesizer or args.size
    return requested(
        Request(
            task=args.task,
            synthesizer=args.synthesizer if own else "v",
            size=args.size if own or args.experiment else "tiny",
            run=args.run,
            experiment=args.experiment,
            gin_files=args.gin_file,
            gin_params=args.gin_param,
        )
    )


def splits(printed):
    """The splits that a comparison reads."""
    args = printed.args
    return {args.split, args.validation_split} if printed.words[0] == "compare" else set()


def known_splits(printed):
    """The splits of the data behind a comparison."""
    args = printed.args
    files_of = [gin_files.gin_file("experiments", args.experiment), *args.gin_file]
    task = macro("MIXTURE_NAME", files_of, args.gin_param)
    benchmark = next((name for start, name in _DATA.items() if task.startswith(start)), None)
    if benchmark is None:
        return {"train", "validation", "test"}
    first, *_ = catalogue.datasets(benchmark)  # the others have as many splits, or are parts of it
    return {split.name for split in first.splits}


def starts(printed):
    """The folders of models that a command begins with or reads."""
    args = printed.args
    begins = [getattr(args, name, None) for name in ("init_from", "init_checkpoint")]
    reads = printed.words[0] in ("evaluate", "predict", "export", "maps", "checkpoints")
    folders = getattr(args, "model_dir", None) if reads else None
    begins += folders if isinstance(folders, list) else [folders]
    return {folder for folder in begins if folder}


def makes(printed):
    """The folder of the models that a command leaves behind."""
    args = printed.args
    made = printed.words[0] in ("train", "warm-start")
    folder = args.model_dir if made else getattr(args, "output", None)
    return {folder} if isinstance(folder, str) else set()
