"""Every command that `report` and the documentation print could be run: checked without running."""

import pathlib
import re
import shlex

import pytest
from printed_commands import (
    PAGES,
    ROOT,
    Printed,
    check_configuration,
    known_splits,
    makes,
    of_help,
    of_pages,
    of_report,
    splits,
    starts,
    task,
)

from mtf_synthesizer.config.lint import names
from mtf_synthesizer.config.request import TASK_MODULES
from mtf_synthesizer.studies.report import commands, paper
from mtf_synthesizer.upstream import session
from mtf_synthesizer.upstream.tasks import check_task


@pytest.fixture(autouse=True)
def distance(tmp_path, monkeypatch):
    """The module that docs/own_function.md tells to save."""
    page = (ROOT / "docs/own_function.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "distance.py").write_text(example)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return of_report(tmp_path_factory.mktemp("nothing"))


@pytest.fixture(scope="module")
def documented():
    return [*of_pages(), *of_help()]


def _ours(printed):
    """Commands but for `t5`, whose flags are T5's."""
    return [each for each in printed if each.words[0] != "t5"]


@pytest.mark.slow
def test_names_files_and_bindings(report, documented):
    assert len(report) > 20
    for printed in [*report, *_ours(documented)]:
        check_configuration(printed)


def test_gin_files_and_bindings_of_t5(documented):
    found = [each for each in documented if each.words[0] == "t5"]
    assert len(found) > 3
    for printed in found:
        given = [word.partition("=")[2] for word in printed.words if "--gin_file=" in word]
        files = [file for file in given if "://" not in file]
        params = [word.partition("=")[2] for word in printed.words if "--gin_param=" in word]
        assert files
        # Bindings may be of a file on a server: here they need only be bindings of something.
        names.check(
            [*files, *(["synthesizers/rv.gin"] if files != given else [])], params, TASK_MODULES
        )


def test_splits_exist(report, documented):
    reading = [p for p in [*report, *_ours(documented)] if splits(p)]
    assert {"compare", "evaluate", "predict", "maps"} <= {p.words[0] for p in reading}
    for printed in reading:
        assert splits(printed) <= known_splits(printed), printed.text


def test_tasks_exist(documented):
    session.import_modules(TASK_MODULES)
    for name in {task(printed) for printed in _ours(documented)} - {None}:
        check_task(name)


def test_documented_models_are_made_by_a_documented_command(documented):
    ours = _ours(documented)
    made = {folder for printed in ours for folder in makes(printed)}
    for printed in ours:
        assert starts(printed) <= made, printed


def test_data_is_prepared_where_commands_read_it(documented):
    """`--tfds_data_dir data` is written by `data prepare`; servers' folders are examples."""
    ours = _ours(documented)
    read = {str(getattr(printed.args, "tfds_data_dir", None) or "data") for printed in ours}
    assert {folder for folder in read if "/" not in folder} == {"data"}


def test_the_check_of_splits_refuses(report):
    """LM1B has no validation split, PersonaChat no test split."""
    for experiment in ("table2_lm1b", "table3_personachat"):
        bare = Printed("", f"mtf_synthesizer compare --experiment {experiment} --rows r --output x")
        assert not splits(bare) <= known_splits(bare)


def test_models_are_made_before_they_are_needed(report):
    made = set()
    for printed in report:
        assert starts(printed) <= made, printed.text
        made |= makes(printed)


def test_models_to_start_from_have_the_same_layers(report):
    """A fine-tuned row was pretrained, and with the same gin files."""
    compared = {p.args.output: p.args for p in report if p.words[0] == "compare"}
    tuned = [args for args in compared.values() if args.init_checkpoint]
    assert tuned
    for args in tuned:
        start = compared[args.init_checkpoint]
        assert set(args.rows) <= set(start.rows)
        assert args.gin_file == start.gin_file
        assert args.seeds == start.seeds


def test_the_transformer_of_table_4_is_t5s_layer(report):
    of_c4 = [p.args for p in report if p.words[0] == "compare" and "c4" in p.args.experiment]
    assert [(args.rows, args.gin_file) for args in of_c4] == [
        (["t5"], []),
        (["dynconv", "lightconv", "d", "r", "r_plus_v", "d_plus_v"], ["table4_layers.gin"]),
    ]


def test_base_plus_from_pretraining_to_scores():
    lines = [shlex.split(line)[1:3] for line in commands.missing("table5_glue", [paper.BASE_PLUS])]
    assert [line[0] for line in lines] == ["train", "train", "evaluate"]


def test_each_command_is_one_line(report):
    assert not [p for p in report if len(p.text.splitlines()) != 1]


TRAINS = re.compile(r"^    (?:for .* do )?mtf_synthesizer (?:train|compare|t5) .*", re.MULTILINE)
TIME = re.compile(
    r"\b(?:an?|one|two|three|four|\d+)( to (?:two|three|four|\d+))? (?:second|minute|hour)s?\b"
    r"|half an hour|meant for accelerators"
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_sections_with_training_commands_tell_their_time(page):
    """Or the introduction of the page does; not for parts of commands and for servers."""
    introduction, *sections = page.read_text("utf-8").split("\n## ")
    for section in (introduction, *sections):
        lines = TRAINS.findall(section)
        own = [line for line in lines if not re.search(r"\.\.\.|\\$|--dry_run|gs://", line)]
        assert not own or TIME.search(section) or TIME.search(introduction), own


def test_every_page_with_commands_is_read():
    pages = {pathlib.PurePath(printed.page).name for printed in of_pages()}
    assert len(of_help()) > 15
    assert {"README.md", "experiments.md", "baselines.md", "warm_start.md"} <= pages
