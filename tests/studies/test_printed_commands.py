"""Every command that `report` and the documentation print could be run: checked without running."""

import pathlib
import shlex

import pytest
from printed_commands import (
    Printed,
    check_configuration,
    known_splits,
    makes,
    of_help,
    of_pages,
    of_report,
    splits,
    starts,
)

from mtf_synthesizer.config import gin_files
from mtf_synthesizer.studies.report import commands, paper


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return of_report(tmp_path_factory.mktemp("nothing"))


def _ours(printed):
    """Commands but for `t5`, whose flags are T5's."""
    return [each for each in printed if each.words[0] != "t5"]


def test_names_files_and_bindings(report):
    assert len(report) > 20
    for printed in [*report, *_ours([*of_pages(), *of_help()])]:
        check_configuration(printed)


def test_gin_files_of_t5():
    found = [each for each in [*of_pages(), *of_help()] if each.words[0] == "t5"]
    assert found
    for printed in found:
        for word in printed.words:
            name = word.removeprefix("--gin_file=")
            if name != word and "://" not in name:
                gin_files.find_gin_file(name)


def test_splits_exist(report):
    compared = [p for p in [*report, *_ours([*of_pages(), *of_help()])] if p.words[0] == "compare"]
    assert len(compared) > 15
    for printed in compared:
        assert splits(printed) <= known_splits(printed), printed.text


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
    tuned = [args for args in compared.values() if args.init_from]
    assert tuned
    for args in tuned:
        start = compared[args.init_from]
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


def test_every_page_with_commands_is_read():
    pages = {pathlib.PurePath(printed.page).name for printed in of_pages()}
    assert len(of_help()) > 15
    assert {"README.md", "experiments.md", "baselines.md", "warm_start.md"} <= pages
