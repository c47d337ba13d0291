"""Every fault of the tables ends in one message that helps, and leaves everything as it was."""

import shlex
import shutil
import sys

import faults
import faults_of_bindings
import faults_of_files
import faults_of_flags
import faults_of_predictions
import faults_of_runs
import faults_of_tasks
import pytest
import seqio
from small_runs import SMALLEST

from mtf_synthesizer.cli import main
from mtf_synthesizer.data import sentence_pieces
from mtf_synthesizer.runtime import loading


def cases(module):
    """The faults of a module, with their titles as the names of the tests."""
    return [
        pytest.param(fault, id=fault.title) for each in module.TABLES.values() for fault in each
    ]


def run(command, capsys):
    """Exit status, standard output and standard error."""
    capsys.readouterr()
    try:
        status = main.main(shlex.split(command))
    except SystemExit as end:  # argparse's
        status = end.code
    return (status, *capsys.readouterr())


@pytest.fixture
def check(capsys, monkeypatch):
    """Runs a fault in a folder and looks at what was said and what is left."""

    def tensorflow_is_not_needed(verbose):
        raise AssertionError("it should have been found before TensorFlow is loaded")

    def check(fault, place):
        monkeypatch.chdir(place)
        monkeypatch.setattr(sys, "path", list(sys.path))  # grows by where a module is
        fault.change(place)
        before = faults.contents(place)
        if not fault.late:
            monkeypatch.setattr(loading, "load_tensorflow", tensorflow_is_not_needed)
        fault.check(*run(fault.command, capsys))
        fault.check_untouched(before, faults.contents(place))

    return check


@pytest.mark.parametrize("fault", [*cases(faults_of_flags), *cases(faults_of_bindings)])
def test_what_is_typed(check, tmp_path, fault):
    check(fault, tmp_path)


@pytest.mark.parametrize("fault", [*cases(faults_of_files), *cases(faults_of_predictions)])
def test_what_is_read(check, tmp_path, fault):
    check(fault, tmp_path)


TEXTS = {
    language: "".join(f"Line {i} of {language}.\n" for i in range(7)) for language in ("de", "en")
}


@pytest.fixture(scope="module")
def fault_place(tmp_path_factory):
    """A folder with prepared data, a vocabulary of pieces, and a model of bytes at step 2."""
    place = tmp_path_factory.mktemp("faults")
    for language, text in TEXTS.items():
        for part in ("train", "val"):
            faults.written(f"files/{part}.{language}", text)(place)
    faults.written("words.model", sentence_pieces.train_sentencepiece(SENTENCES, 36))(place)
    params = [f"--gin_param={param}" for param in SMALLEST]
    prepare = (
        f"data prepare --benchmark multi30k --from files {faults_of_runs.DATA} --allow_partial"
    )
    train = faults_of_runs.NEW.replace("new", "runs/m") + " --synthesizer rv --run finetune"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert main.main(shlex.split(prepare)) == 0
        more = ["--batch_size", "3", "--no_attention_summaries", *params]
        assert main.main([*shlex.split(train), *more]) == 0
    shutil.rmtree(place / "files")
    faults.removed("runs/m/events.out.*")(place)  # large, and nothing reads them
    return place


SENTENCES = faults_of_predictions.SENTENCES.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("fault", [*cases(faults_of_runs), *cases(faults_of_tasks)])
def test_what_is_run(check, fault_place, tmp_path, fault):
    place = shutil.copytree(fault_place, tmp_path / "place")
    # What seqio keeps of a folder by its name, which is that of another test's folder, too.
    seqio.utils.LazyTfdsLoader._MEMOIZED_BUILDERS.clear()
    check(fault, place)
    seqio.TaskRegistry.remove("fault_empty")  # that one of them adds


def test_the_tables_are_long_and_their_titles_differ():
    every = [fault for table in faults.tables().values() for fault in table]
    assert len({fault.title for fault in every}) == len(every) >= 80
