"""The vocabulary that tasks without one of their own have, and what a model remembers of it."""

import gzip
import hashlib
import json
import pathlib

import mtf_synthesizer.runtime.compat

import calls
import pytest
import runner_tasks
import seqio
import tensorflow.compat.v1 as tf
from sentencepiece import sentencepiece_model_pb2
from small_runs import SMALLEST

from mtf_synthesizer import errors
from mtf_synthesizer.data import sentence_pieces
from mtf_synthesizer.model_folder.vocabulary import (
    COPY,
    DEFAULT_VARIABLE,
    RECORD,
    T5_VOCABULARY,
    UsedVocabulary,
    read,
    remember,
)
from mtf_synthesizer.upstream import tasks
from mtf_synthesizer.upstream.vocabulary import (
    DEFAULT,
    T5_MODEL,
    choose,
    describe,
    output_features,
)

TASK = "synthesizer_test_chosen_vocabulary"
LICENSE = pathlib.Path(__file__).parent.parent.parent / "LICENSE"
SENTENCES = [line for line in LICENSE.read_text("utf-8").splitlines() if line.strip()]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two SentencePiece models of different sizes."""
    folder = tmp_path_factory.mktemp("vocabularies")
    paths = []
    for pieces in (97, 101):
        paths.append(folder / f"{pieces}.model")
        paths[-1].write_bytes(sentence_pieces.train_sentencepiece(SENTENCES, pieces))
    return [str(path) for path in paths]


def test_the_default_is_t5s():
    assert T5_VOCABULARY == T5_MODEL


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch):
    monkeypatch.delenv(DEFAULT_VARIABLE, raising=False)
    yield
    choose(None)


@pytest.fixture(scope="module", autouse=True)
def task():
    if TASK not in seqio.TaskRegistry.names():
        seqio.TaskRegistry.add(
            TASK,
            seqio.FunctionDataSource(runner_tasks.pairs, splits=("train", "validation", "test")),
            preprocessors=[
                seqio.preprocessors.tokenize,
                seqio.preprocessors.append_eos_after_trim,
            ],
            output_features=output_features(),
            metric_fns=[runner_tasks.accuracy],
        )


def train(folder, vocabulary=None, **changes):
    return calls.train(
        folder,
        TASK,
        synthesizer="r",
        size="tiny",
        run="finetune",
        steps=1,
        batch_size=3,
        gin_params=SMALLEST,
        modules=(),
        vocabulary=vocabulary,
        show_progress=False,
        attention_summaries=False,
        **changes,
    )


def evaluate(folder, **changes):
    return calls.evaluate(folder, TASK, decode=False, modules=(), **changes)


def test_bytes():
    choose("bytes")
    assert DEFAULT.encode("aé") == [97 + 3, 0xC3 + 3, 0xA9 + 3]
    assert DEFAULT.decode([100, 1, 101]) == "a"
    assert DEFAULT.vocab_size == 384
    assert (DEFAULT.eos_id, DEFAULT.unk_id) == (1, 2)


def test_a_model_with_its_sentinels(models):
    choose(models[0])
    reference = seqio.SentencePieceVocabulary(models[0], 100)
    assert DEFAULT.vocab_size == 97 + 100
    text = "a work of the source"
    assert DEFAULT.encode(text) == reference.encode(text)
    with tf.Graph().as_default(), tf.Session() as session:
        ids = DEFAULT.encode_tf(tf.constant(text))
        decoded = DEFAULT.decode_tf(ids[tf.newaxis])
        assert session.run(decoded).tolist() == [text.encode()]


def test_the_variable_chooses_and_the_flag_wins(monkeypatch, models):
    monkeypatch.setenv(DEFAULT_VARIABLE, models[0])
    assert DEFAULT.vocab_size == 197
    choose(models[1])
    assert DEFAULT.vocab_size == 201
    choose(None)
    assert DEFAULT.vocab_size == 197


def test_t5_tasks_have_the_chosen_vocabulary(models):
    import t5.data.tasks  # noqa: F401

    choose(models[1])
    features = seqio.TaskRegistry.get("glue_cola_v002").output_features
    assert features["targets"].vocabulary.vocab_size == 201
    simple = seqio.TaskRegistry.get("super_glue_wsc_v102_simple_train")
    assert simple.output_features["inputs"].vocabulary is DEFAULT


@pytest.mark.parametrize("content", [b"no model", b""])
def test_no_model(tmp_path, content):
    path = tmp_path / "x.model"
    path.write_bytes(content)
    with pytest.raises(errors.UserError, match="not a readable SentencePiece model"):
        choose(str(path))


def test_ids_that_t5_cannot_use(tmp_path):
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES),
        model_prefix=str(tmp_path / "other"),
        vocab_size=97,
        minloglevel=2,
    )
    with pytest.raises(errors.UserError, match=r"have the ids \(-1, 2, 0\), but T5 needs 0, 1, 2"):
        choose(str(tmp_path / "other.model"))


def test_a_missing_file_is_told_before_anything_is_loaded(tmp_path):
    with pytest.raises(errors.UserError, match=r"--vocabulary .*absent.model: no such file"):
        train(tmp_path / "m", str(tmp_path / "absent.model"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, models):
    folder = tmp_path_factory.mktemp("trained") / "m"
    train(folder, models[0])
    return folder


@pytest.mark.slow
def test_a_model_remembers_its_vocabulary(trained, models):
    record = json.loads((trained / RECORD).read_text())
    content = pathlib.Path(models[0]).read_bytes()
    assert record["targets"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert record["targets"]["size"] == 197
    assert (trained / COPY).read_bytes() == content


@pytest.mark.slow
def test_evaluation_and_further_training_need_no_flag(trained, tmp_path):
    before = evaluate(trained)["results"][0]["loss"]
    # The vocabulary comes from the copy in the folder of the model it starts from.
    result = train(tmp_path / "further", init_checkpoint=trained)
    assert result["step"] == 2
    assert before == pytest.approx(evaluate(trained)["results"][0]["loss"])


def test_the_same_command_goes_on_without_the_flag(trained):
    assert train(trained)["step"] == 1


def test_a_record_without_a_model_binds_nobody(tmp_path):
    bytes_ = {"kind": "bytes", "size": 384, "sentinels": 125}
    other = {"kind": "bytes", "size": 259, "sentinels": 0}
    for described in (bytes_, other):
        used = {"inputs": described, "targets": described}
        remember(tmp_path, UsedVocabulary(used))
        assert read(tmp_path)["targets"] == described
    (tmp_path / "model.ckpt-0.index").touch()
    with pytest.raises(errors.UserError, match="another vocabulary"):
        remember(tmp_path, UsedVocabulary({"inputs": bytes_, "targets": bytes_}))


def test_another_vocabulary_is_refused(trained, models, tmp_path):
    with pytest.raises(errors.UserError, match="another vocabulary than the model"):
        evaluate(trained, vocabulary=models[1])
    with pytest.raises(errors.UserError, match="sentencepiece"):
        evaluate(trained, vocabulary="bytes")
    with pytest.raises(errors.UserError, match="another vocabulary than the model"):
        train(tmp_path / "x", models[1], init_checkpoint=trained)
    with pytest.raises(errors.UserError, match="another vocabulary than the model"):
        train(trained, models[1])


def test_a_task_with_a_vocabulary_of_its_own_is_compared_too(trained):
    runner_tasks.register()
    with pytest.raises(errors.UserError, match="kind is bytes instead of sentencepiece"):
        calls.evaluate(trained, runner_tasks.PAIRS, decode=False, modules=())


def test_a_model_of_a_task_with_its_own_vocabulary_is_not_asked_for_t5s(tmp_path, models):
    """At once: T5's is not looked for, which takes a minute without a network."""
    own = {"kind": "bytes", "size": 259, "sentinels": 0}
    remember(tmp_path, UsedVocabulary({"inputs": own, "targets": own}))
    with pytest.raises(
        errors.UserError, match=r"its own task's vocabulary: bytes of 259 ids\. Choose"
    ):
        tasks.check_vocabulary(TASK, tmp_path)
    choose(models[0])
    with pytest.raises(errors.UserError, match="kind is sentencepiece instead of bytes"):
        tasks.check_vocabulary(TASK, tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"inputs": {}, "targets": {}}'])
def test_a_broken_record(tmp_path, content):
    (tmp_path / RECORD).write_text(content)
    with pytest.raises(errors.UserError, match="not a record of a vocabulary"):
        read(tmp_path)


def test_training_on_files(tmp_path):
    (tmp_path / "a.txt").write_text("\n".join(SENTENCES[:13]) + "\n\n")
    with gzip.open(tmp_path / "b.txt.gz", "wt") as file:
        file.write("\n".join(SENTENCES[13:]))
    inputs = [tmp_path / "a.txt", tmp_path / "b.txt.gz"]
    lines = sentence_pieces.train_on_files(inputs, tmp_path / "v.model", 97)
    assert lines == (len(SENTENCES), 0, 0)
    choose(str(tmp_path / "v.model"))
    assert DEFAULT.decode(DEFAULT.encode("conditions of 2.0")) == ("conditions of 2.0")


def test_lines_that_cannot_be_used_are_counted(tmp_path):
    long = "\u00e9" * 2096  # 4,192 bytes: the longest that SentencePiece takes
    lines = [*SENTENCES, long, f"{long}x", "nul\0nul", " "]
    (tmp_path / "a.txt").write_text("\n".join(lines), "utf-8")
    lines = sentence_pieces.train_on_files([tmp_path / "a.txt"], tmp_path / "v.model", 101)
    assert lines == (len(SENTENCES) + 1, 1, 1)
    assert str(lines).endswith(" lines, 1 over 4,192 bytes left out, 1 with NUL left out")
    used = sentence_pieces.train_sentencepiece([*SENTENCES, long], 101)
    assert (tmp_path / "v.model").read_bytes() == used
    (tmp_path / "b.txt").write_text(f"{long}x", "utf-8")
    with pytest.raises(errors.UserError, match=r"no usable line of text \(0 lines, 1 over"):
        sentence_pieces.train_on_files([tmp_path / "b.txt"], tmp_path / "w.model", 97)


def test_a_large_alphabet(tmp_path):
    alphabet = [chr(0x4E00 + i) for i in range(200)]
    (tmp_path / "a.txt").write_text("\n".join([*SENTENCES, *alphabet]), "utf-8")
    with pytest.raises(errors.UserError, match=r"every character.*Give at least 2\d\d.*_coverage"):
        sentence_pieces.train_on_files([tmp_path / "a.txt"], tmp_path / "v.model", 97)
    sentence_pieces.train_on_files([tmp_path / "a.txt"], tmp_path / "v.model", 97, 0.98)


@pytest.mark.parametrize("descending", [True, False])
def test_a_model_that_holds_its_sentinels(tmp_path, descending):
    """As mT5's: seqio would add `<extra_id_0>` again, which SentencePiece refuses."""
    held = [f"<extra_id_{n}>" for n in range(3)]
    model = sentencepiece_model_pb2.ModelProto.FromString(
        sentence_pieces.train_sentencepiece(SENTENCES, 97)
    )
    for piece in reversed(held) if descending else held:
        model.pieces.add(piece=f"\u2581{piece}", score=0.0, type=4)  # user-defined
    path = tmp_path / "held.model"
    path.write_bytes(model.SerializeToString())
    if not descending:
        with pytest.raises(errors.UserError, match=r"<extra_id_0> has the id 97.*as 99\. Give"):
            choose(str(path))
        return
    choose(str(path))
    assert (DEFAULT.vocab_size, DEFAULT.extra_ids) == (100, 3)
    assert DEFAULT.encode("<extra_id_0>") == [99]
    assert describe(DEFAULT)["sentinels"] == 3


def test_a_size_that_cannot_be_reached(tmp_path):
    (tmp_path / "a.txt").write_text("one line\n")
    with pytest.raises(errors.UserError, match="--size 999"):
        sentence_pieces.train_on_files([tmp_path / "a.txt"], tmp_path / "v.model", 999)
    assert not (tmp_path / "v.model").exists()


def test_a_vocabulary_trained_in_another_process_is_the_same():
    apart = sentence_pieces.train_apart(SENTENCES, 97)
    assert apart == sentence_pieces.train_sentencepiece(SENTENCES, 97)
    with pytest.raises(RuntimeError, match=r"(?s)no vocabulary was trained: .*Vocabulary size"):
        sentence_pieces.train_apart(SENTENCES, 9999)
