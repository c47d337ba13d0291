"""`bench`: what its JSON says, and which mistakes it answers without TensorFlow."""

import json
import subprocess
import sys

import pytest

from mtf_synthesizer.cli import bench
from mtf_synthesizer.cli.parser import Parser
from mtf_synthesizer.errors import UserError
from mtf_synthesizer.runtime import loading, precision
from mtf_synthesizer.studies.bench import lineup, machine, processes, timing, worker
from mtf_synthesizer.studies.bench.lineup import BenchEntry
from mtf_synthesizer.studies.bench.memory import Memory
from mtf_synthesizer.studies.bench.rows import layers
from mtf_synthesizer.studies.bench.setting import MODES, ROWS, SIZES, Setting

TINY = SIZES["tiny"]


PROCESS = processes.Process


class InProcess:
    """Answers as a process does, without its imports."""

    def __init__(self, command, entries, verbose):
        self._measurer = worker.Measurer()

    def ask(self, action, **arguments):
        return json.loads(json.dumps(self._measurer.answer({action: arguments})))

    def close(self):
        self._measurer.answer({"clear": {}})


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    monkeypatch.setattr(processes, "Process", InProcess)
    monkeypatch.setattr(machine, "_SIDE", 64)
    monkeypatch.setenv(precision.VARIABLE, "float32")


def parsed(*arguments):
    parser = Parser()
    bench.add_arguments(parser)
    return parser.parse_args(["--size", "tiny", "--steps", "2", *arguments])


def document(capsys, *arguments):
    bench.run(parsed("--format", "json", *arguments))
    return json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_training(capsys):
    flags = ["--dropout", "0.2", "--threads", "1", "--parts", "--no_memory"]
    flags += ["--layer_only", "--gathered_embedding", "--fast_cpu", "--operations"]
    found = document(capsys, "--rows", "t5,r", *flags)
    rows = found["rows"]
    assert [row["row"] for row in rows] == ["t5", "r"]
    # Tables of N x N in place of W_Q and W_K and of the biases of each of the two stacks.
    tables = 2 * TINY.num_heads * TINY.inputs_length**2
    queries_and_keys = 2 * 2 * TINY.d_model * TINY.num_heads * TINY.d_kv
    difference = TINY.num_layers * (tables - queries_and_keys) - 2 * TINY.num_heads * 32
    assert rows[1]["parameters"] - rows[0]["parameters"] == difference
    for row in rows:
        parts = row["forward_ms"] + row["backward_ms"] + row["optimizer_ms"]
        assert parts == pytest.approx(row["cpu_ms"], abs=0.21)  # each is rounded to 0.1
        assert row["wall_ms"] > 0
        share = row["gflops"] / found["machine"]["peak_gflops"]
        assert row["share_of_peak"] == pytest.approx(share, rel=0.02, abs=1e-4)
        at_peak = row["share_of_peak"] * row["wall_ms"]
        assert row["products_at_peak_ms"] == pytest.approx(at_peak, rel=0.05, abs=0.2)
        assert row["operations"]
        assert row["matmul_precision"] == "float32"
    assert found["flags"] == {
        "mode": "train",
        "steps": 2,
        "packed": 0,
        "dropout": 0.2,
        "threads": 1,
        "layer_only": True,
        "gathered_embedding": True,
        "fast_cpu": True,
        "encoder_only": False,
        "against": None,
    }
    assert found["machine"].keys() == {
        "processor",
        "cores",
        "memory_mib",
        "python",
        "tensorflow",
        "mesh_tensorflow",
        "numpy",
        "mtf_synthesizer",
        "matmul_precision",
        "bfloat16_instructions",
        "peaks",
        "peak_gflops",
    }
    instructions = found["machine"].pop("bfloat16_instructions")
    assert set(instructions) <= {"amx_bf16", "avx512_bf16"}
    assert all(found["machine"].values())


@pytest.mark.slow
def test_decoding(capsys):
    rows = document(capsys, "--rows", "t5,r", "--mode", "greedy", "--no_memory")["rows"]
    tokens = TINY.batch * TINY.targets_length
    # Keys and values, or values alone, of two layers with 4 heads of 16 float32 numbers.
    assert [row["cache_bytes_per_token"] for row in rows] == [2 * 512, 512]
    for row in rows:
        assert row["tokens_per_second"] == pytest.approx(1e3 * tokens / row["wall_ms"], rel=0.02)
        assert row["tokens_per_cpu_second"] == pytest.approx(1e3 * tokens / row["cpu_ms"], rel=0.02)
        assert not {"peak_rss_mib", "gflops", "forward_ms"} & row.keys()


@pytest.mark.slow
def test_sweep(capsys):
    found = document(capsys, "--rows", "r", "--mode", "evaluate", "--sweep", "32,16")
    [row] = found["rows"]
    short, long = row["lengths"]
    assert [(at["length"], at["batch"], at["targets_length"]) for at in (short, long)] == [
        (16, 16, 8),
        (32, 8, 16),
    ]
    # Tables are as long as the inputs, in both stacks.
    difference = 2 * TINY.num_layers * TINY.num_heads * (32**2 - 16**2)
    assert long["parameters"] - short["parameters"] == difference
    assert row["doublings"] == [pytest.approx(row["growth"], abs=1e-3)]


def test_tables(capsys, monkeypatch):
    """What is printed: ratios to the first row."""
    results = [timing.Result(row, "float32", 7_000, flops=2 * 10**9) for row in ("t5", "r")]
    for result, cpu in zip(results, (400.0, 100.0), strict=True):
        result.add("step", cpu, cpu / 2)
    memory = iter([Memory(500.0, 300.0), Memory(400.0, 350.0)])
    monkeypatch.setattr(machine, "peak_gflops", lambda threads: 100.0)
    monkeypatch.setattr(timing, "measure", lambda *args: results)
    monkeypatch.setattr(bench, "of_entry", lambda *args: next(memory))
    bench.run(parsed("--rows", "t5,r"))
    lines = capsys.readouterr().out.splitlines()
    found = {line.split("│")[1].strip(): line.split() for line in lines if line.startswith("│")}
    first = ["float32", "7,000", "400", "200", "1.00", "10.0", "10%", "20", "200", "1.00"]
    second = ["float32", "7,000", "100", "50", "0.25", "40.0", "40%", "20", "50", "0.25"]
    assert found["t5"][3::2] == first
    assert found["r"][3::2] == second


def test_flags_reach_the_measurement(monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(machine, "peak_gflops", lambda threads: seen.append(threads) or 1.0)
    monkeypatch.setattr(timing, "measure", lambda running, *args: seen.append(args) or [])
    monkeypatch.setattr(bench, "of_entry", lambda *args: seen.append(args))
    flags = ["--packed", "3", "--dropout", "0.3", "--threads", "2", "--mode", "evaluate"]
    document(capsys, "--rows", "r", "--layer_only", *flags)
    entry = BenchEntry("r", "float32", Setting(TINY, "evaluate", packed=3, dropout=0.3, threads=2))
    assert seen == [(entry,), 2, ([entry], 2, ("step",), False)]


def entries(*flags):
    """Row, precision, and whether its program is ours, of each measured row."""
    args = parsed(*flags)
    asked = lineup.precisions(args.matmul_precision or "float32")
    found = lineup.entries(bench._rows(args), bench._setting(args), asked)
    return [(e.row, e.precision, e.setting.fast and e.setting.gathered) for e in found]


def test_rows_are_trained_as_the_package_trains_them_but_for_stock(monkeypatch):
    monkeypatch.setattr(precision, "instructions", lambda: ("amx_bf16",))
    assert entries("--rows", "stock,t5,r", "--matmul_precision", "auto") == [
        ("stock", "float32", False),
        ("t5", "bfloat16", True),
        ("r", "bfloat16", True),
    ]
    assert entries("--rows", "t5,r", "--layer_only") == [
        ("t5", "float32", False),
        ("r", "float32", False),
    ]


def test_both_precisions_take_turns_in_processes_of_their_own(monkeypatch):
    monkeypatch.setattr(precision, "instructions", lambda: ("amx_bf16",))
    assert entries("--rows", "stock,r", "--matmul_precision", "both") == [
        ("stock", "float32", False),
        ("r", "float32", True),
        ("r", "bfloat16", True),
    ]
    found = lineup.entries(["stock", "t5", "r"], Setting(TINY), lineup.precisions("both"))
    assert len({entry.process for entry in found}) == 3
    against = lineup.against(Setting(TINY))
    assert [(entry.row, entry.precision) for entry in against] == [
        ("huggingface", "float32"),
        ("huggingface", "bfloat16"),
    ]


def test_a_processor_without_the_instructions_has_one_precision(monkeypatch):
    monkeypatch.setattr(precision, "instructions", lambda: ())
    with pytest.raises(UserError, match="neither"):
        bench.run(parsed("--matmul_precision", "both"))
    assert [entry.precision for entry in lineup.against(Setting(TINY))] == ["float32"]


def test_both_precisions_stand_in_one_document(monkeypatch, capsys):
    monkeypatch.setattr(precision, "instructions", lambda: ("amx_bf16",))
    monkeypatch.setattr(machine, "peak_gflops", lambda threads: 100.0)
    flags = ["--rows", "uniform", "--encoder_only", "--mode", "evaluate", "--no_memory"]
    found = document(capsys, *flags, "--matmul_precision", "both")
    assert [row["matmul_precision"] for row in found["rows"]] == ["float32", "bfloat16"]
    assert {row["row"] for row in found["rows"]} == {"uniform"}
    assert found["machine"]["matmul_precision"] == "float32 and bfloat16"
    assert found["machine"]["peaks"] == {"float32": 100.0, "bfloat16": 100.0}
    assert all(row["cpu_ms"] > 0 and row["share_of_peak"] > 0 for row in found["rows"])


def test_a_process_that_crashes_is_named_and_nothing_is_written(monkeypatch, tmp_path, capsys):
    """An empty file was once all that a crash in native code left behind."""
    crash = "import os, sys; sys.stdin.readline(); os.kill(os.getpid(), 11)"

    def crashing(command, entries, verbose):
        return PROCESS([sys.executable, "-c", crash], entries, verbose)

    monkeypatch.setattr(processes, "Process", crashing)
    output = tmp_path / "bench.json"
    with pytest.raises(UserError, match=r"r: the process .* in float32 ended with status -11"):
        bench.run(parsed("--rows", "r", "--no_memory", "--output", str(output)))
    assert not output.exists()
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_stock_is_t5s_own_program():
    """In processes of their own: what ours installs never reaches stock."""
    code = (
        "import sys, json\n"
        "from mtf_synthesizer.runtime import loading\n"
        "from mtf_synthesizer.studies.bench.worker import Measurer\n"
        "from mtf_synthesizer.studies.bench.setting import SIZES, Setting\n"
        "import dataclasses\n"
        "loading.load_tensorflow(False)\n"
        "import mesh_tensorflow as mtf\n"
        "own = mtf.ops._relu_grad, mtf.placement_mesh_impl.PlacementMeshImpl.einsum\n"
        "setting = dataclasses.asdict(Setting(SIZES['tiny'], 'evaluate').as_stock)\n"
        "measurer = Measurer()\n"
        "measurer.answer({'build': {'row': 'stock', 'setting': setting}})\n"
        "measurer.answer({'run': {'number': 0, 'part': 'step'}})\n"
        "assert own == (mtf.ops._relu_grad, mtf.placement_mesh_impl.PlacementMeshImpl.einsum)\n"
        "assert 'mtf_synthesizer.upstream.fast' not in sys.modules\n"
        "setting = dataclasses.asdict(Setting(SIZES['tiny'], 'evaluate').as_trained)\n"
        "measurer.answer({'build': {'row': 'r', 'setting': setting}})\n"
        "assert own[0] != mtf.ops._relu_grad\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--rows", "t6"], "unknown row 't6'.*t5"),
        (["--steps", "0"], "--steps 0: nothing to measure"),
        (["--rows", "stock,r", "--layer_only"], "--layer_only: all rows .*Give t5"),
        (["--fast_cpu"], "--fast_cpu: only --layer_only"),
        (["--encoder_only", "--mode", "greedy"], "--encoder_only"),
        (["--rows", "universal", "--mode", "greedy"], "universal"),
        (["--against", "huggingface", "--packed", "2"], "not available with --packed"),
        (["--against", "huggingface", "--huggingface_python", "absent"], "absent: no such program"),
        (["--operations", "--sweep", "16,32"], "--operations: --sweep"),
        (["--packed", "999"], "--packed is 999.*0 to 32"),
        (["--packed", "2", "--mode", "greedy"], "--packed is 2.*one sequence"),
        (["--dropout", "1.0"], "--dropout is 1.0"),
        (["--threads", "-1"], "--threads is -1"),
        (["--parts", "--mode", "beam"], "--parts: only a training step has parts"),
        (["--parts", "--sweep", "16,32"], "--sweep measures whole steps"),
        (["--sweep"], "256 tokens.*512, 1024, 2048"),
        (["--sweep", "16,32", "--rows", "t5,mesh-d"], "mesh-d.*512 rows"),
        (["--sweep", "16,32", "--mode", "greedy"], "not for greedy"),
        (["--sweep", "16"], "two lengths"),
        (["--sweep", "4,8", "--packed", "3"], "--packed is 3; a row of 2 tokens"),
    ],
)
def test_mistakes(flags, message, monkeypatch):
    monkeypatch.setattr(loading, "load_tensorflow", lambda verbose: pytest.fail("loaded"))
    with pytest.raises(UserError, match=message):
        bench.run(parsed(*flags))


def test_public_tables_have_one_length():
    longer = SIZES["small"].__class__(16, 24, 2, 8, 1, 32, 2, 513, 8)
    with pytest.raises(UserError, match=r"mesh-r: .*512 rows.*513 tokens"):
        Setting(longer).check(["t5", "mesh-r"])


def test_mistakes_need_no_tensorflow():
    code = (
        "import sys\n"
        "from mtf_synthesizer.cli import main as cli\n"
        "assert cli.main(['bench', '--rows', 'r,q']) == 2\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "unknown row 'q'" in done.stderr


def test_every_row_and_mode_is_known():
    assert list(layers()) == list(ROWS)
    assert list(MODES) == ["train", "evaluate", "greedy", "beam"]
