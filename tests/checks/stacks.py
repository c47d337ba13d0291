"""Checks on other releases than the default ones: `make check-stacks`, or with a name only one.

scores  A model trained on the default stack gives the same scores, from the same checkpoint, on
        TensorFlow 2.15.
stock   T5's own console script, unmodified, trains a Synthesizer on TensorFlow 2.12 with PyTorch
        (which it imports), by the flags --module_import and --gin_location_prefix.

Each builds an environment with Python 3.11 under .stacks/ ($PYTHON311 says which), once.
"""

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
STACKS = ROOT / ".stacks"
TASK = "synthesizer_testament_v001"
TOLERANCE = 1e-4  # relative, of a sum of log probabilities
STEPS = 20
SENTENCES = [
    ("testament: In the beginning God created the heaven and the earth.", "old"),
    ("testament: Jesus wept.", "new"),
    ("testament: And it came to pass in those days, that there went out a decree.", "new"),
    ("testament: The king sent unto all the provinces letters with his seal.", "old and new"),
]
STOCK_TASK = "synthesizer_verse_spans_v001"
STOCK_STEPS = 4


def main(arguments: list[str]) -> int:
    checks = {"scores": check_scores, "stock": check_stock_script}
    unknown = set(arguments) - set(checks)
    if unknown:
        print(f"unknown check {' '.join(sorted(unknown))}; known: {' '.join(checks)}")
        return 2
    failed = [name for name in arguments or checks if not checks[name]()]
    print(f"{'failed: ' + ' '.join(failed) if failed else 'all passed'}")
    return 1 if failed else 0


def check_scores() -> bool:
    """Trains a little on the default stack, then scores on both."""
    folder = fresh_folder("scores")
    model = folder / "model"
    default = pathlib.Path(sys.executable).parent
    run(
        [default / "mtf_synthesizer", "train", "--synthesizer", "rv", "--size", "tiny"]
        + ["--task", TASK, "--run", "finetune", "--steps", f"{STEPS}", "--batch_size", "8"]
        + ["--model_dir", model]
    )
    (folder / "inputs").write_text("".join(f"{line}\n" for line, _ in SENTENCES), "utf-8")
    (folder / "targets").write_text("".join(f"{line}\n" for _, line in SENTENCES), "utf-8")
    stacks = {"default": default, "tf215": build("tf215")}
    scores = {name: score(bin, folder, name) for name, bin in stacks.items()}
    for name, bin in stacks.items():
        print(f"TensorFlow {tensorflow_version(bin)}: {scores[name]}")
    difference = max(abs(a - b) / abs(a) for a, b in zip(*scores.values(), strict=True))
    print(f"largest relative difference {difference:.1e}, allowed {TOLERANCE:.0e}")
    return difference <= TOLERANCE


def score(bin: pathlib.Path, folder: pathlib.Path, name: str) -> list[float]:
    """Log probabilities of the targets given the inputs, by T5's score_from_file.gin."""
    bindings = [
        f"inputs_filename='{folder}/inputs'",
        f"targets_filename='{folder}/targets'",
        f"scores_filename='{folder}/{name}'",
        "save_scores.save_example_text=False",  # fails in T5 once the scores are written
        f"utils.run.eval_checkpoint_step={STEPS}",  # else it waits for more checkpoints
        "utils.run.batch_size=('sequences_per_batch', 4)",
    ]
    run(
        [bin / "mtf_synthesizer", "t5", f"--model_dir={folder}/model"]
        + ["--module_import=mtf_synthesizer.tasks"]
        + [f"--gin_file={folder}/model/operative_config.gin", "--gin_file=score_from_file.gin"]
        + ["--gin_file=local_cpu.gin"]
        + [f"--gin_param={binding}" for binding in bindings]
    )
    return [float(line) for line in (folder / f"{name}.scores").read_text().split()]


def check_stock_script() -> bool:
    """Trains by t5_mesh_transformer and looks for the Synthesizer's variables in the checkpoint."""
    bin = build("tf212", "torch==2.13.0")
    model = fresh_folder("stock") / "model"
    gin_path = run([bin / "mtf_synthesizer", "gin-path"], capture=True).strip()
    run(
        [bin / "t5_mesh_transformer", f"--model_dir={model}"]
        + ["--module_import=mtf_synthesizer.tasks", f"--gin_location_prefix={gin_path}"]
        + [f"--gin_file={file}.gin" for file in ("sizes/tiny", "synthesizers/rv", "runs/pretrain")]
        + ["--gin_file=local_cpu.gin", f"--gin_param=MIXTURE_NAME='{STOCK_TASK}'"]
        + [f"--gin_param=train_steps={STOCK_STEPS}", "--gin_param=batch_size=4"]
    )
    listing = "import sys, tensorflow as tf; print(*dict(tf.train.list_variables(sys.argv[1])))"
    checkpoint = f"{model}/model.ckpt-{STOCK_STEPS}"
    variables = run([bin / "python", "-c", listing, checkpoint], capture=True).split()
    tables = [name for name in variables if name.endswith("SyntheticAttention/random/table")]
    print(f"TensorFlow {tensorflow_version(bin)}, t5_mesh_transformer: {checkpoint}")
    print(f"{len(tables)} of its {len(variables)} variables are tables of R, such as {tables[:1]}")
    return bool(tables)


def build(name: str, *more: str, lock: pathlib.Path | None = None) -> pathlib.Path:
    """Build .stacks/NAME unless it exists; return its bin folder.

    Args:
      name: name of the environment, whose packages are listed in tests/checks/NAME.txt.
      more: requirements installed afterwards.
      lock: another list of packages.
    """
    environment, requirements = STACKS / name, lock or ROOT / "tests/checks" / f"{name}.txt"
    stamp = environment / "requirements.txt"
    wanted = requirements.read_text("utf-8") + "".join(more)
    bin = environment / "bin"
    if not stamp.is_file() or stamp.read_text("utf-8") != wanted:
        shutil.rmtree(environment, ignore_errors=True)
        run([os.environ.get("PYTHON311", "python3.11"), "-m", "venv", environment])
        pip = [bin / "python", "-m", "pip", "install", "--quiet"]
        run([*pip, "--no-deps", "--requirement", requirements])
        if more:
            run([*pip, *more])
        run([*pip, "--no-deps", "--no-build-isolation", "--editable", ROOT])
        stamp.write_text(wanted, "utf-8")
    return bin


def fresh_folder(name: str) -> pathlib.Path:
    folder = STACKS / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def tensorflow_version(bin: pathlib.Path) -> str:
    code = "import importlib.metadata as m; print(m.version('tensorflow'))"
    return run([bin / "python", "-c", code], capture=True).strip()


def run(command: list, capture: bool = False) -> str:
    """Runs a command in an empty folder, so that nothing is found because it lies around."""
    print("$", *command, flush=True)
    empty, log = STACKS / "empty", STACKS / "log"
    empty.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "MTF_SYNTHESIZER_CACHE": str(STACKS / "cache")}
    with log.open("w", encoding="utf-8") as messages:
        stdout = subprocess.PIPE if capture else messages
        done = subprocess.run(
            command, cwd=empty, env=environment, stdout=stdout, stderr=messages, text=True
        )
    if done.returncode != 0:
        print(*log.read_text("utf-8").splitlines()[-30:], sep="\n")
        sys.exit(f"stacks: status {done.returncode} of {command[0]}; the whole log is {log}")
    return done.stdout or ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
