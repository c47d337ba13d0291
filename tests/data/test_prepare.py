"""Official files found, checked against published counts and written by the command."""

import pathlib
import re
import shlex
import subprocess
import sys

import mtf_synthesizer.runtime.compat

import pytest
from glue_files import contents, dataset, read, written

from mtf_synthesizer import errors
from mtf_synthesizer.cli import commands, main
from mtf_synthesizer.data import catalogue, prepare
from mtf_synthesizer.data.spec import DataError, Dataset, Split

pytestmark = pytest.mark.usefixtures("eager")

RTE = "index\tsentence1\tsentence2\tlabel\n"
TRAIN = RTE + "".join(f"{i}\tLine {i}.\tA {i}.\tentailment\n" for i in range(7))


@pytest.fixture
def official(tmp_path):
    """A folder with a small RTE: 7 training rows and one to validate."""
    written(tmp_path / "glue/RTE/train.tsv", TRAIN)
    written(tmp_path / "glue/RTE/dev.tsv.gz", f"{RTE}0\tA\tB\tnot_entailment\n")
    return tmp_path / "glue"


def states(findings):
    return {
        (each.dataset.tfds_name.partition(":")[0], each.split.name): each.state for each in findings
    }


def test_states_of_splits(official):
    written(official / "WNLI/dev.tsv", f"{RTE}" + "".join(f"{i}\tA\tB\t1\n" for i in range(71)))
    written(official / "WNLI/test.tsv", f"{RTE}")
    written(official / "QNLI/test.tsv", "index\tquestion\n")
    findings = prepare.survey("glue", official)
    found = states(findings)
    assert found["glue/rte", "train"] == "other count"
    assert found["glue/rte", "test"] == "missing"
    assert found["glue/wnli", "validation"] == "complete"
    assert found["glue/wnli", "test"] == "broken"  # not one example
    assert found["glue/qnli", "test"] == "broken"
    assert len(found) == 3 * 8 + 5 + 2 + 2 + 1
    with pytest.raises(DataError) as error:
        prepare.check(findings, allow_partial=True)
    assert "WNLI/test.tsv: no examples" in str(error.value)
    assert "QNLI/test.tsv: no column sentence" in str(error.value)


def test_other_counts_are_refused_unless_allowed(official):
    findings = prepare.survey("glue", official)
    with pytest.raises(DataError) as error:
        prepare.check(findings, allow_partial=False)
    first, second = str(error.value).splitlines()
    for part in ("RTE/train.tsv", "7 examples", "2,490", "--allow_partial"):
        assert part in first
    assert "but the published file has 2,490. Download" in first
    assert "RTE/dev.tsv.gz" in second
    prepare.check(findings, allow_partial=True)


def test_each_published_count_is_accepted():
    """QQP has two: tensorflow_datasets 1.0.0 counts 363,849 training rows, 2.0.0 three fewer."""
    train = dataset("glue", "qqp").splits[0]
    for count, state in ((363_849, "complete"), (363_846, "complete"), (363_848, "other count")):
        found = prepare.Finding(dataset("glue", "qqp"), train, (pathlib.Path("train.tsv"),), count)
        assert found.state == state


def test_only_the_first_faults_are_shown(official):
    for folder in ("SST-2", "WNLI", "QNLI", "STS-B", "MRPC"):
        written(official / folder / "dev.tsv", "index\n")
    with pytest.raises(DataError) as error:
        prepare.check(prepare.survey("glue", official), allow_partial=True)
    *shown, rest = str(error.value).splitlines()
    assert len(shown) == 3
    assert rest == "and 2 more"


def test_a_fault_in_files_that_two_data_sets_share_is_said_once(tmp_path):
    written(tmp_path / "MNLI/dev_matched.tsv", "index\n")
    with pytest.raises(DataError) as error:
        prepare.check(prepare.survey("glue", tmp_path), allow_partial=True)
    assert len(str(error.value).splitlines()) == 1


def test_nothing_there_or_no_such_place(tmp_path):
    with pytest.raises(errors.UserError, match=r"no official file found.*CoLA/train.tsv"):
        prepare.check(prepare.survey("glue", tmp_path), allow_partial=True)
    with pytest.raises(errors.UserError, match="no such folder"):
        prepare.survey("glue", tmp_path / "nowhere")
    with pytest.raises(errors.UserError, match="'superglue'"):
        catalogue.datasets("superglu")
    assert catalogue.datasets("super_glue") == catalogue.datasets("superglue")


def test_the_first_alternative_that_is_whole_is_read(tmp_path):
    splits = (
        Split("train", ("a.txt", "b.txt"), list),
        Split("train", ("c*.txt",), list),
        Split("test", ("d.txt",), list),
    )
    data = Dataset("x:1.0.0", splits)
    for name in ("a.txt", "c1.txt", "C2.TXT.GZ"):
        written(tmp_path / name, "")
    found = prepare.locate(data, "train", tmp_path)
    assert [path.name for path in found.paths] == ["C2.TXT.GZ", "c1.txt"]
    assert prepare.locate(data, "test", tmp_path).paths == ()


def test_half_of_a_pair(tmp_path, capsys):
    text = "".join(f"Line {i}.\n" for i in range(5))
    written(tmp_path / "train.en", text)
    with pytest.raises(errors.UserError) as error:
        prepare.check(prepare.survey("multi30k", tmp_path), allow_partial=True)
    of_german, of_french = str(error.value).splitlines()
    assert "multi30k/de-en:1.0.0 train is left out: train.de missing" in of_german
    assert "train.fr missing" in of_french
    for name in ("train.de", "val.de"):
        written(tmp_path / name, text)
    found = states(prepare.survey("multi30k", tmp_path))
    assert found["multi30k/de-en", "validation"] == "incomplete"
    assert found["multi30k/fr-en", "train"] == "missing"  # its English is that of the German pair
    prepare.run("multi30k", tmp_path, tmp_path / "out", allow_partial=True)
    said = [line for line in capsys.readouterr().out.splitlines() if "left out" in line]
    assert len(said) == 1
    assert "validation is left out: val.en missing" in said[0]


def test_files_that_nothing_uses_are_named(tmp_path, capsys):
    for name in ("val.de", "val.en", "test_2019.de", "test2016.en", "._val.de", "val.fr"):
        written(tmp_path / name, "Line.\n")
    prepare.run("multi30k", tmp_path, tmp_path / "out", allow_partial=True)
    said = [line for line in capsys.readouterr().out.splitlines() if "not used" in line]
    assert said == [
        "not used, because `mtf_synthesizer data list` has no such name: "
        f"{tmp_path / 'test_2019.de'}"
    ]


def command(official, output, *flags):
    place = ["--from", str(official), "--tfds_data_dir", str(output)]
    return ["data", "prepare", "--benchmark", "glue", *place, *flags]


@pytest.mark.slow
def test_the_command_writes_the_same_bytes_in_another_process(official, tmp_path, capsys):
    assert main.main(command(official, tmp_path / "here", "--allow_partial")) == 0
    assert str(tmp_path / "here/glue/rte/1.0.0") in capsys.readouterr().out
    arguments = command(official, tmp_path / "there", "--allow_partial")
    subprocess.run([sys.executable, "-m", "mtf_synthesizer", *arguments], check=True)
    here = contents(tmp_path / "here")
    assert here == contents(tmp_path / "there")
    assert "glue/rte/1.0.0/glue-train.tfrecord-00000-of-00001" in here


def test_the_command_leaves_what_is_there_unless_told(official, tmp_path, capsys):
    output = tmp_path / "out"
    assert main.main(command(official, output, "--allow_partial")) == 0
    before = contents(output)
    written(official / "RTE/train.tsv", TRAIN.replace("Line", "Other"))
    assert main.main(command(official, output, "--allow_partial")) == 0
    assert "left unchanged (--overwrite writes it again)" in capsys.readouterr().out
    assert contents(output) == before
    written(official / "RTE/test.tsv", "index\tsentence1\tsentence2\n0\tA\tB\n")
    (official / "RTE/dev.tsv.gz").unlink()
    assert main.main(command(official, output, "--allow_partial")) == 0
    shown = capsys.readouterr().out
    assert "it has train, validation, not test. --overwrite writes it again with " in shown
    assert "train, test, without validation, whose files are not in --from" in shown
    assert contents(output) == before
    assert main.main(command(official, output, "--allow_partial", "--overwrite")) == 0
    assert contents(output) != before


def test_the_command_writes_nothing_if_anything_is_wrong(official, tmp_path, capsys):
    written(official / "WNLI/dev.tsv", f"{RTE}0\tA\tB\t7\n")
    assert main.main(command(official, tmp_path / "out", "--allow_partial")) == 2
    shown = capsys.readouterr()
    assert "WNLI/dev.tsv: line 2" in shown.err
    assert "Traceback" not in shown.err
    assert "broken" in shown.out
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written(official, tmp_path, capsys):
    written(tmp_path / "out", "a file")
    assert main.main(command(official, tmp_path / "out", "--allow_partial")) == 2
    assert "can't be written" in capsys.readouterr().err


def test_the_list_shows_every_file(capsys):
    assert main.main(["data", "list"]) == 0
    shown = capsys.readouterr().out
    for benchmark in catalogue.BENCHMARKS:
        for each in catalogue.datasets(benchmark):
            for split in each.splits:
                assert " ".join(split.files) in shown
    assert main.main(["data", "list", "superglue"]) == 0
    assert "CoLA" not in capsys.readouterr().out


def test_the_commands_of_the_guide_are_known():
    guide = (pathlib.Path(__file__).parent.parent.parent / "docs/data.md").read_text("utf-8")
    found = re.findall(r"^    mtf_synthesizer (.+)$", guide, re.MULTILINE)
    assert len(found) >= 4
    for each in found:
        commands.parser().parse_args(shlex.split(each))


def test_the_guides_data_of_ones_own(tmp_path, monkeypatch):
    guide = (pathlib.Path(__file__).parent.parent.parent / "docs/data.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(example, {})
    assert read("mine:1.0.0", tmp_path / "data", "train") == [{"text": "Is it?", "label": 1}]
