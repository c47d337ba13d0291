"""Official files that are damaged in any way: they are read, or refused in a sentence."""

import functools
import gzip
import hashlib
import json

import pytest
from faults import contents
from fuzzing import damaged
from hypothesis import given
from hypothesis import strategies as st

from mtf_synthesizer import errors
from mtf_synthesizer.data import catalogue, prepare, prepared, sentence_pieces

URL = "http://example.org/a"
STORY = f"{hashlib.sha1(URL.encode()).hexdigest()}.story"
SQUAD = {"id": "1", "question": "q", "answers": [{"text": "a", "answer_start": 1}]}
COPA = {"premise": "p", "choice1": "a", "choice2": "b", "question": "c", "label": 0, "idx": 0}
WSC = {"span1_text": "The cat", "span2_text": "it", "span1_index": 0, "span2_index": 3}
MULTIRC = {"question": "q", "idx": 0, "answers": [{"text": "a", "idx": 0, "label": 1}]}
RECORD = {"query": "@placeholder", "idx": 0, "answers": [{"text": "cat", "start": 4, "end": 6}]}
SEGMENTS = "".join(f'<seg id="{i}">Line {i}.</seg>\n' for i in range(3))


def lines(*values):
    return "".join(json.dumps(value) + "\n" for value in values)


def table(*rows):
    return "".join("\t".join(row) + "\n" for row in rows)


# Benchmark -> small valid files of it.
VALID = {
    "glue": {
        "CoLA/train.tsv": table(("s", "1", "", "A sentence."), ("s", "0", "*", "Another.")),
        "RTE/dev.tsv": table(
            ("index", "sentence1", "sentence2", "label"),
            ("0", "A", "B", "entailment"),
            ("1", "C", "D", "not_entailment"),
        ),
        "RTE/test.tsv": table(("index", "sentence1", "sentence2"), ("0", "A", "B")),
        "STS-B/dev.tsv": table(("sentence1", "sentence2", "score"), ("A", "B", "3.5")),
        "MRPC/msr_paraphrase_train.txt": table(
            ("Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"),
            ("1", "7", "8", "A", "B"),
            ("0", "9", "10", "C", "D"),
        ),
        "MRPC/dev_ids.tsv": table(("7", "8")),
    },
    "superglue": {
        "COPA/val.jsonl": lines(COPA, COPA | {"idx": 1}),
        "WSC/val.jsonl": lines({"text": "The cat saw it.", "target": WSC, "idx": 0, "label": True}),
        "MultiRC/val.jsonl": lines({"idx": 0, "passage": {"text": "p", "questions": [MULTIRC]}}),
        "ReCoRD/val.jsonl": lines(
            {
                "idx": 0,
                "passage": {"text": "The cat.", "entities": [{"start": 4, "end": 6}]},
                "qas": [RECORD],
            }
        ),
    },
    "wmt14": {
        "dev/newstest2014-deen-src.de.sgm": SEGMENTS,
        "dev/newstest2014-deen-ref.en.sgm": SEGMENTS,
    },
    "multi30k": {"train.de": "Eins.\nZwei.\n", "train.en": "One.\nTwo.\n"},
    "lm1b": {"training-monolingual.tokenized.shuffled/news.en-00001-of-00100": "A .\nB .\n"},
    "c4": {"c4-train.00000-of-00001.json": lines({"text": "t", "url": "u", "timestamp": "x"})},
    "wikitext2": {"wiki.train.tokens": " \n = A = \n \n Text . \n \n = B = \n \n More . \n"},
    "tiny_shakespeare": {"input.txt": "First Citizen:\nBefore we proceed.\n" * 3},
    "cnn_dailymail": {
        "test.csv": 'article,highlights,id\n"A, b\n""c""",h,1\nd,e,2\n',
        "all_val.txt": f"{URL}\n",
        f"cnn/stories/{STORY}": "(CNN) Text\n\n@highlight\n\nPoint\n",
        f"dailymail/stories/{STORY}": "Text\n\n@highlight\n\nPoint\n",
    },
    "personachat": {
        "valid_self_original.txt": "1 your persona: i am.\n2 hi\thello\n3 you\tme\ta|b\n"
        + "1 a\tb\n" * 9
    },
    "ag_news": {"train.csv": '"1","A title","Text"\n"4","Another","More, of it"\n'},
    "imdb": {"train/neg/0_3.txt": "Bad.", "train/pos/1_9.txt": "Good.\n"},
    "squad": {
        "dev-v1.1.json": json.dumps(
            {"data": [{"title": "t", "paragraphs": [{"context": "c", "qas": [SQUAD]}]}]}
        )
    },
    "dpr": {"train.c.txt": "He saw him.\nhe\nJim,Bob\nJim\n\nIt ran.\nIt\nA,B\nB\n"},
}


@functools.cache
def serializer(benchmark, name):
    """Makes the bytes that are stored of an example of a data set."""
    (dataset,) = [each for each in catalogue.datasets(benchmark) if each.tfds_name == name]
    if dataset.features is None:
        features = prepared.known_info(dataset).features
    else:
        features = prepared.features(dataset.features)
    store = prepared._Serializer(features.get_serialized_info())
    return lambda row: store.serialize_example(features.encode_example(row))


def prepare_without_writing(benchmark, folder):
    """Bytes of all examples that `data prepare` would store."""
    findings = prepare.survey(benchmark, folder, show_progress=False)
    prepare.check(findings, allow_partial=True)
    return [
        serializer(benchmark, found.dataset.tfds_name)(row)
        for found in findings
        if found.paths
        for row in found.split.read(found.paths)
    ]


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))


def test_every_benchmark_has_small_files():
    assert VALID.keys() == set(catalogue.BENCHMARKS)


@pytest.mark.parametrize("benchmark", VALID)
def test_small_files_are_valid(benchmark, tmp_path):
    write(tmp_path, VALID[benchmark])
    assert all(prepare_without_writing(benchmark, tmp_path))
    paths = {path for found in prepare.survey(benchmark, tmp_path) for path in found.paths}
    assert {path.relative_to(tmp_path).as_posix() for path in paths} == VALID[benchmark].keys()


@pytest.mark.parametrize("benchmark", VALID)
def test_whatever_happens_to_a_file(benchmark, tmp_path_factory):
    """It is read and can be stored, or what is wrong with it is said."""
    folder = tmp_path_factory.mktemp("fuzz")
    files = VALID[benchmark]

    @given(st.data(), st.sampled_from(sorted(files)), st.booleans())
    def accidents(data, name, packed):
        write(folder, files)
        content = data.draw(damaged(files[name].encode()))
        path = folder / name
        if packed:
            content = data.draw(damaged(gzip.compress(content)) | st.just(gzip.compress(content)))
            path.unlink()
            path = path.with_name(f"{path.name}.gz")
        path.write_bytes(content)
        try:
            prepare_without_writing(benchmark, folder)
        except errors.UserError as error:
            assert str(error)
        finally:
            path.unlink()

    accidents()


def test_a_text_that_a_vocabulary_is_trained_on(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    text = "".join(f"Line {i} of {i * 37 % 101} words.\n" for i in range(30)).encode()

    @given(damaged(text), st.integers(1, 60))
    def accidents(content, pieces):
        (folder / "text.txt").write_bytes(content)
        before = contents(folder)
        try:
            sentence_pieces.train_on_files([folder / "text.txt"], folder / "x.model", pieces)
        except errors.UserError:
            assert contents(folder) == before
        else:
            assert (folder / "x.model").stat().st_size > 100
            (folder / "x.model").unlink()

    accidents()
