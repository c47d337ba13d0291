"""The command `t5` as a user runs it: a mistake is named and leaves nothing behind."""

import subprocess
import sys

import pytest
from small_runs import SMALLEST

from mtf_synthesizer.files import paths

FILES = ("sizes/tiny.gin", "synthesizers/r.gin", "runs/finetune.gin", "local_cpu.gin")
SMALL = (*SMALLEST, "utils.run.batch_size = 4", "utils.run.train_steps = 1")


def run(folder, task):
    """Run T5 in a process of its own, because its flags and gin's state stay in the process."""
    params = [f"--gin_param={binding}" for binding in (f"MIXTURE_NAME = '{task}'", *SMALL)]
    command = [sys.executable, "-m", "mtf_synthesizer", "t5", f"--model_dir={folder}"]
    files = [f"--gin_file={file}" for file in FILES]
    return subprocess.run([*command, *files, *params], capture_output=True, text=True)


@pytest.mark.slow
def test_a_misspelt_task_is_found_before_t5_writes_files(tmp_path):
    done = run(tmp_path / "m", "synthesizer_testment_v001")
    assert done.returncode == 2
    assert "unknown task 'synthesizer_testment_v001'. Did you mean 'synthe" in done.stderr
    assert not paths.of(tmp_path / "m").exists()
