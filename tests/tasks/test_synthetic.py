"""Synthetic tasks: splits, determinism, features, controls and the metric."""

import hashlib
import pathlib
import re
import shlex

import mtf_synthesizer.runtime.compat

import numpy as np
import pytest
import seqio
import tensorflow as tf
import tensorflow_datasets as tfds

import mtf_synthesizer.tasks
from mtf_synthesizer.cli.commands import parser
from mtf_synthesizer.config import gin_files, statements
from mtf_synthesizer.tasks import metrics, synthetic, synthetic_controls, synthetic_symbols
from mtf_synthesizer.tasks.synthetic import PROBLEMS
from mtf_synthesizer.upstream import encoder_only

pytestmark = pytest.mark.usefixtures("eager")

TASKS = {f"synthesizer_{name}_v001": problem for name, problem in PROBLEMS.items()}
SHORT = sorted(set(PROBLEMS) - {"listops"})
DOCS = "docs/synthetic_tasks.md"
# A change here needs a new version in the tasks' names.
DIGEST = "2eed90761a8b2377"


def rows(name, number, **options):
    task = seqio.TaskRegistry.get(name)
    lengths = {"inputs": 2000, "targets": 2000}
    options = {"split": "train", "shuffle": False, **options}
    return list(tfds.as_numpy(task.get_dataset(lengths, **options).take(number)))


def test_questions_are_the_same_on_every_machine():
    digest = hashlib.sha256()
    for name in sorted(PROBLEMS):
        for split in ("train", "validation", "test"):
            question = PROBLEMS[name].question(split, 7)
            digest.update(f"{name} {split} {question.symbols} {question.answers}\n".encode())
    assert digest.hexdigest()[:16] == DIGEST


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_a_row_belongs_to_one_split(name):
    number = 4 if name.startswith("listops") else 40
    for split in ("train", "validation", "test"):
        for place in range(number):
            question = PROBLEMS[name].question(split, place)
            assert synthetic.split_of(question) == split


def test_splits_share_no_row_where_rows_are_few():
    """64 rows in all, so that independent draws would meet."""
    few = synthetic.Problem("few", lambda draw: question(format(draw.getrandbits(6), "06b")))
    seen = {
        split: {few.question(split, place).symbols for place in range(200)}
        for split in ("train", "validation", "test")
    }
    assert len(set.union(*seen.values())) == sum(map(len, seen.values())) == 64
    assert len(seen["train"]) > len(seen["test"]) > 0


def question(text):
    return synthetic.Question((*text, "_"), (text[0],))


@pytest.mark.parametrize("name", SHORT)
def test_features_of_an_encoder(name):
    vocabulary = synthetic_symbols.VOCABULARY
    for place, row in enumerate(rows(f"synthesizer_{name}_v001", 5, split="test")):
        asked = PROBLEMS[name].question("test", place)
        assert vocabulary.decode(row["inputs"].tolist()) == " ".join(asked.symbols)
        at_blanks = row["targets"][row["inputs"] == encoder_only.BLANK]
        assert vocabulary.decode(at_blanks.tolist()) == " ".join(asked.answers)
        assert np.count_nonzero(row["targets"]) == len(asked.answers)
        assert len(row["targets"]) == len(row["inputs"]) == len(asked.symbols)
        assert row["targets_pretokenized"].decode() == " ".join(asked.answers)
        assert row["idx"] == place


def test_features_of_a_decoder():
    [row] = rows("synthesizer_copy_text_v001", 1)
    asked = PROBLEMS["copy"].question("train", 0)
    vocabulary = synthetic_symbols.VOCABULARY
    assert row["inputs"].tolist() == [*vocabulary.encode(" ".join(asked.symbols)), 1]
    assert row["targets"].tolist() == [*vocabulary.encode(" ".join(asked.answers)), 1]


def test_the_longest_listops():
    [row] = rows("synthesizer_listops_v001", 1)
    assert 501 < len(row["inputs"]) <= 2000
    assert row["inputs"][0] == encoder_only.BLANK
    assert np.count_nonzero(row["targets"]) == 1
    assert PROBLEMS["listops"].sizes == {"train": 96_000, "validation": 2_000, "test": 2_000}


@pytest.mark.parametrize("name", gin_files.known("experiments"))
def test_rows_fit_their_experiment(name):
    """Not one symbol is cut off, and short tasks don't pay for padding."""
    files = [gin_files.gin_file("experiments", name)]
    problem = TASKS.get(statements.macro("MIXTURE_NAME", files, []))
    if problem is None:
        return
    number = 10 if problem.name.startswith("listops") else 200
    longest = max(len(problem.question("train", place).symbols) for place in range(number))
    for macro in ("inputs_length", "targets_length", "max_length"):
        length = statements.macro(macro, files, [])
        assert longest <= length
        if number == 200:
            assert longest == length


def test_every_problem_has_an_experiment():
    tasks = {
        statements.macro("MIXTURE_NAME", [gin_files.gin_file("experiments", name)], [])
        for name in gin_files.known("experiments")
    }
    assert set(TASKS) <= tasks


def test_training_is_shuffled_by_the_seed():
    name = "synthesizer_addition_v001"
    order = {
        seed: [row["idx"].item() for row in rows(name, 20, shuffle=True, seed=seed)]
        for seed in (1, 2)
    }
    again = [row["idx"].item() for row in rows(name, 20, shuffle=True, seed=1)]
    assert order[1] == again != order[2]
    assert max(order[1]) > 10_000  # of the whole split


def test_the_vocabulary():
    vocabulary = synthetic_symbols.VOCABULARY
    text = "_ [MAX 3 k31 v0 ] unheard +"
    ids = vocabulary.encode(text)
    assert vocabulary.encode_tf(text).numpy().tolist() == ids
    assert ids[0] == synthetic_symbols.BLANK_ID == encoder_only.BLANK
    assert ids[6] == 2
    padded = [[*ids, 1, 5, 0], [0, ids[1], 0, ids[2], *[0] * (len(ids) - 1)]]
    expected = ["_ [MAX 3 k31 v0 ] <unk> +", "[MAX 3"]
    assert [vocabulary.decode(row) for row in padded] == expected
    assert [text.decode() for text in vocabulary.decode_tf(tf.constant(padded)).numpy()] == expected
    assert len(set(synthetic_symbols.SYMBOLS)) == vocabulary.vocab_size < 128


def test_the_metric():
    targets = ["a b c", "a b", "d"]
    predictions = ["a x c", "a b", "d e"]
    assert metrics.symbols_accuracy(targets, predictions) == {
        "exact_match": pytest.approx(100 / 3),
        "symbol_accuracy": pytest.approx(100 * 5 / 6),
    }
    assert metrics.symbols_accuracy(["a b"], [""])["symbol_accuracy"] == 0


def test_the_documented_commands_are_known():
    guide = (pathlib.Path(__file__).resolve().parent.parent.parent / DOCS).read_text("utf-8")
    commands = re.findall(r"^    mtf_synthesizer (.+)$", guide, re.MULTILINE)
    assert len(commands) > 5
    for command in commands:
        parsed = vars(parser().parse_args(shlex.split(command)))
        if experiment := parsed.get("experiment"):
            gin_files.gin_file("experiments", experiment)
    explained = re.findall(r"^\| `(\w+)` \|", guide, re.MULTILINE)
    ours = {name for name in gin_files.known("experiments") if name.startswith("synthetic_")}
    assert {*ours, "lra_listops"} == set(explained)


def controls(name):
    return synthetic_controls.scores(PROBLEMS[name], questions=300, fitted_to=1000)


@pytest.mark.parametrize("name", ["copy", "reverse", "shift"])
def test_fixed_attention_is_enough_for(name):
    scores = controls(name)
    assert scores["fixed_place"] == {"exact_match": 100, "symbol_accuracy": 100}
    # One letter of 26, seen or not.
    assert scores["own_position"]["symbol_accuracy"] == pytest.approx(100 / 26, abs=1.5)
    assert scores["counts"]["exact_match"] == 0


@pytest.mark.parametrize("name", ["sort", "majority"])
def test_uniform_attention_is_enough_for(name):
    scores = controls(name)
    assert scores["counts"] == {"exact_match": 100, "symbol_accuracy": 100}
    assert scores["fixed_place"]["symbol_accuracy"] < 45


@pytest.mark.parametrize(
    ("name", "most"), [("lookup", 20), ("induction", 20), ("recall", 20), ("dyck", 75)]
)
def test_contents_are_needed_for(name, most):
    scores = controls(name)
    assert all(score["symbol_accuracy"] < most for score in scores.values())


def test_what_is_guessed_of_recall():
    """By chance one of 32 values, or one of the 8 in the row."""
    scores = controls("recall")
    assert scores["own_position"]["symbol_accuracy"] == pytest.approx(100 / 32, abs=1.5)
    assert scores["counts"]["symbol_accuracy"] == pytest.approx(100 / 8, abs=1.5)


def test_the_first_operator_of_a_list_tells_much():
    """The smallest of few digits is often 0, the largest often 9."""
    scores = synthetic_controls.scores(PROBLEMS["listops"], questions=100, fitted_to=400)
    assert scores["own_position"]["exact_match"] < 25
    assert scores["fixed_place"]["exact_match"] > 30
