"""GLUE's official files: formats, quirks and faults; the truth is TFDS's own parsing of them."""

import gzip

import numpy as np
import pytest
import seqio
import t5.data.mixtures  # noqa: F401  (registers its tasks)
import task_rows
from glue_files import (
    assert_fault_is_named,
    dataset,
    encoded,
    rows,
    tfds_builder,
    unpacked,
    written,
)
from tensorflow_datasets.text.glue import Glue

from mtf_synthesizer.data import glue, prepare
from mtf_synthesizer.data.records import Record
from mtf_synthesizer.inference import records as decoding
from mtf_synthesizer.upstream.examples import ExampleSet

MNLI_DEV = (
    "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\t"
    "sentence1_parse\tsentence2_parse\tsentence1\tsentence2\tlabel1\tlabel2\tlabel3\tlabel4\t"
    "label5\tgold_label\n"
    "0\t63735\t63735n\tslate\t( a )\t( b )\t(ROOT a)\t(ROOT b)\tThe new rights are nice.\t"
    "Everyone likes them.\tneutral\tentailment\tneutral\tneutral\tneutral\tneutral\n"
    '1\t91383\t91383c\tgovernment\t( c )\t( d )\t(ROOT c)\t(ROOT d)\tThis "site" lists them.\t'
    "It's not there.\tcontradiction\tcontradiction\tcontradiction\tcontradiction\tneutral\t"
    "contradiction\n"
)
MNLI_TEST = (
    "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\t"
    "sentence1_parse\tsentence2_parse\tsentence1\tsentence2\n"
    "0\t31493\t31493\ttravel\t( a )\t( b )\t(ROOT a)\t(ROOT b)\tHill towns.\tTowns on hills.\n"
)
STSB_DEV = (
    "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
    "0\tmain-captions\tMSRvid\t2012test\t0000\tnone\tnone\tA man with a hard hat is dancing.\t"
    "A man wearing a hard hat is dancing.\t5.000\n"
    '1\tmain-news\theadlines\t2013\t0005\tnone\tnone\t"Iran says\tIran says"\t1.75\n'
    "2\tmain-forums\tdeft\t2014\t0006\tnone\tnone\tNo.\tYes.\t0.000\n"
)
STSB_TEST = (
    "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\n"
    "0\tmain-captions\tMSRvid\t2012test\t0024\tnone\tnone\tA girl is styling her hair.\tHair.\n"
)
# Lines 3 and 4 were one, 5 is empty, 7 lacks a question (and counts), 8 a label (and doesn't).
QQP_TRAIN = (
    "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    '133273\t213221\t213222\tHow is the "life" of a math student?\tWhich level?\t0\n'
    "402555\t536040\t536041\tHow do I control it\n"
    "\tWas he real?\t0\n"
    "\n"
    "360472\t364011\t490273\tWhat?\tWhat is it?\t1\n"
    "150662\t155721\t7256\t\tWhat can I do?\t1\n"
    "150663\t155722\t7257\tWho?\tMe?\t\n"
    "150664\t155723\t7258\tWhere?\tHere?\t0\n"
)
QQP_TEST = 'id\tquestion1\tquestion2\n0\tWould it?\tHow would it?\n1\tWho "is"?\tWhat is?\n'

# Task -> folder, file, split, content: tasks that are not among the real files.
INLINE = {
    "mnli matched": ("mnli", "MNLI/dev_matched.tsv", "validation_matched", MNLI_DEV),
    "mnli mismatched": ("mnli", "MNLI/dev_mismatched.tsv", "validation_mismatched", MNLI_DEV),
    "mnli train": ("mnli", "MNLI/train.tsv", "train", MNLI_DEV),
    "mnli test": ("mnli", "MNLI/test_mismatched.tsv", "test_mismatched", MNLI_TEST),
    "matched": ("mnli_matched", "MNLI/dev_matched.tsv", "validation", MNLI_DEV),
    "mismatched": ("mnli_mismatched", "MNLI/test_mismatched.tsv", "test", MNLI_TEST),
    "stsb dev": ("stsb", "STS-B/dev.tsv", "validation", STSB_DEV),
    "stsb test": ("stsb", "STS-B/test.tsv", "test", STSB_TEST),
    "qqp train": ("qqp", "QQP/train.tsv", "train", QQP_TRAIN),
    "qqp test": ("qqp", "QQP/test.tsv", "test", QQP_TEST),
}


def tfds_rows(configuration, path, split):
    """What tensorflow_datasets makes of a file; `split` is train, dev or test."""
    mrpc = {
        "dev_ids": path.parent / "dev_ids.tsv",
        "train": path.parent / "msr_paraphrase_train.txt",
        "test": path.parent / "msr_paraphrase_test.txt",
    }
    builder = tfds_builder(Glue, configuration)
    return [row for _, row in builder._generate_examples(path, split, mrpc)]


@pytest.mark.parametrize("case", INLINE)
def test_rows_are_those_of_tensorflow_datasets(case, tmp_path):
    configuration, file, split, text = INLINE[case]
    path = written(tmp_path / file, text)
    found = rows("glue", configuration, split, tmp_path)
    expected = tfds_rows(configuration, path, split.partition("_")[0])
    assert len(found) >= 1
    assert encoded(Glue, configuration, found) == encoded(Glue, configuration, expected)


def test_broken_rows_of_qqp_are_left_out_and_counted_in_idx(tmp_path):
    written(tmp_path / "QQP" / "train.tsv", QQP_TRAIN)
    found = rows("glue", "qqp", "train", tmp_path)
    assert [row["idx"] for row in found] == [0, 3, 4, 6]
    assert [row["label"] for row in found] == [
        "not_duplicate",
        "duplicate",
        "duplicate",
        "not_duplicate",
    ]
    assert found[0]["question1"] == 'How is the "life" of a math student?'
    assert found[2]["question1"] == ""


def test_scores_are_numbers(tmp_path):
    written(tmp_path / "STS-B" / "dev.tsv", STSB_DEV)
    found = rows("glue", "stsb", "validation", tmp_path)
    assert [row["label"] for row in found] == [5.0, 1.75, 0.0]
    assert found[1]["sentence1"] == '"Iran says'


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("1\tmain-news", "0\tmain-news", "line 3: index '0' occurs twice"),
        ("1.75\n", "1.75\t4.0\n", "line 3: 11 columns, but the header has 10"),
        ("1.75", "1_7", "score must be a number from 0 to 5, not '1_7'"),
        ("1.75", "\uff11.\uff17", "score must be a number from 0 to 5"),
    ],
)
def test_odd_lines_of_stsb_are_refused(tmp_path, old, new, said):
    assert old in STSB_DEV
    text = STSB_DEV.replace(old, new)
    assert_fault_is_named("glue", tmp_path, "STS-B/dev.tsv", text, [said])


def test_correlations_with_official_scores(tmp_path):
    """T5's targets round 1.75 to 1.8; the scores are those of the data, joined by idx."""
    written(tmp_path / "STS-B" / "dev.tsv", STSB_DEV)
    folder = task_rows.prepare(dataset("glue", "stsb"), tmp_path)
    task = seqio.TaskRegistry.get("glue_stsb_v002")
    targets = {2: b"0.0", 0: b"5.0", 1: b"1.8"}
    examples = ExampleSet(
        task, [{"idx": i, "targets_pretokenized": text} for i, text in targets.items()], {}
    )
    source = task.source.tfds_dataset
    source.override_data_dir(str(folder))
    try:
        found = decoding.metrics(examples, ["1.0", "4.0", "nonsense"], "validation").metrics
    finally:
        source.override_data_dir(None)
    answers = [1.0, 4.0, 0.0]
    for name, middle in {"": 1.8, "official_": 1.75}.items():
        expected = 100 * np.corrcoef([0.0, 5.0, middle], answers)[0, 1]
        assert found[f"{name}pearson_corrcoef"] == pytest.approx(expected)
        assert found[f"{name}spearman_corrcoef"] == pytest.approx(50)
    assert found["official_pearson_corrcoef"] != pytest.approx(found["pearson_corrcoef"])


def test_cola_has_a_header_only_in_its_test_file(tmp_path):
    train = "gj04\t1\t\tOur friends won't buy it.\ngj04\t0\t*\tThey \"am.\n"
    written(tmp_path / "CoLA/train.tsv", train)
    written(tmp_path / "CoLA/test.tsv", "index\tsentence\n0\tBill whistled.\n")
    assert rows("glue", "cola", "train", tmp_path) == [
        {"sentence": "Our friends won't buy it.", "label": "acceptable", "idx": 0},
        {"sentence": 'They "am.', "label": "unacceptable", "idx": 1},
    ]
    assert rows("glue", "cola", "test", tmp_path) == [
        {"sentence": "Bill whistled.", "label": -1, "idx": 0}
    ]


MRPC_IDS = "#1 ID\t#2 ID\t#1 String\t#2 String\n"
MRPC = f'Quality\t{MRPC_IDS}1\t7\t8\tHe "is.\tIs he.\n0\t9\t5\tA\tB\n1\t3\t4\tC\tD\n'


def test_mrpc_from_its_original_files_with_a_byte_order_mark(tmp_path):
    written(tmp_path / "MRPC/msr_paraphrase_train.txt.gz", "\ufeff" + MRPC.replace("\n", "\r\n"))
    written(tmp_path / "MRPC/dev_ids.tsv", "9\t5\n5\t9\n")
    written(tmp_path / "MRPC/train.tsv", "wrong: the original comes first")
    train = rows("glue", "mrpc", "train", tmp_path)
    assert [(row["sentence2"], row["label"], row["idx"]) for row in train] == [
        ("Is he.", "equivalent", 0),
        ("D", "equivalent", 2),
    ]
    dev = rows("glue", "mrpc", "validation", tmp_path)
    assert dev == [{"sentence1": "A", "sentence2": "B", "label": "not_equivalent", "idx": 1}]


def test_mrpc_as_the_download_script_splits_it(tmp_path):
    written(tmp_path / "MRPC/train.tsv", "\ufeff" + MRPC)
    written(tmp_path / "MRPC/test.tsv", f"index\t{MRPC_IDS}0\t1\t2\tE\tF\n")
    assert [row["idx"] for row in rows("glue", "mrpc", "train", tmp_path)] == [0, 1, 2]
    expected = [{"sentence1": "E", "sentence2": "F", "label": -1, "idx": 0}]
    assert rows("glue", "mrpc", "test", tmp_path) == expected


@pytest.mark.parametrize("file", ["AX/diagnostic.tsv.gz", "diagnostic/diagnostic.tsv", "AX.tsv"])
def test_ax_under_its_names(tmp_path, file):
    written(tmp_path / file, "index\tsentence1\tsentence2\n0\tThe cat sat.\tIt did not sit.\n")
    assert rows("glue", "ax", "test", tmp_path) == [
        {"premise": "The cat sat.", "hypothesis": "It did not sit.", "label": -1, "idx": 0}
    ]


HEAD = "index\tsentence1\tsentence2\tlabel\n"
# Fault -> file, content, what the message says.
FAULTS = {
    "column": ("RTE/train.tsv", "index\tsentence1\tlabel\n", ["no column sentence2", "first line"]),
    "cut line": ("RTE/train.tsv", f"{HEAD}0\tA\tB\tentailment\n1\tC", ["line 3", "'sentence2'"]),
    "label": ("RTE/dev.tsv", f"{HEAD}0\tA\tB\tmaybe\n", ["line 2", "'maybe'", "not_entailment"]),
    "number": ("WNLI/dev.tsv", f"{HEAD}0\tA\tB\t2\n", ["line 2", "'2'", "Allowed: 0, 1"]),
    "score": ("STS-B/dev.tsv", STSB_DEV.replace("1.75", "5.5"), ["line 3", "from 0 to 5", "'5.5'"]),
    "no score": ("STS-B/dev.tsv", STSB_DEV.replace("1.75", "nan"), ["line 3", "'nan'"]),
    "index": ("RTE/test.tsv", f"{HEAD}0\tA\tB\n2\tC\tD\n", ["line 3", "'2'", "1 is expected"]),
    "header": ("CoLA/train.tsv", "source\tlabel\tmark\tsentence\n", ["line 1", "'label'"]),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_is_named_with_file_and_line(case, tmp_path):
    assert_fault_is_named("glue", tmp_path, *FAULTS[case])


def test_bytes_that_are_not_utf8_and_a_cut_archive(tmp_path):
    path = written(tmp_path / "RTE/train.tsv", f"{HEAD}0\tA\tB\tentailment\n")
    path.write_bytes(path.read_bytes() + b"1\tC\xe9\tD\tentailment\n")
    rows = "".join(f"{i}\tA\tB\tentailment\n" for i in range(50))
    cut = written(tmp_path / "RTE/dev.tsv.gz", HEAD + rows)
    cut.write_bytes(cut.read_bytes()[:-9])
    faults = {each.fault for each in prepare.survey("glue", tmp_path) if each.fault}
    assert len(faults) == 2
    assert any("RTE/train.tsv" in fault and "not UTF-8" in fault for fault in faults)
    assert any("RTE/dev.tsv.gz" in fault and "truncated" in fault for fault in faults)


NLI = ("entailment", "neutral", "contradiction")
# Configuration -> labels as the files write them, in the order of the classes.
LABELS = {
    **dict.fromkeys(("cola", "sst2", "mrpc", "qqp", "wnli"), ("0", "1")),
    **dict.fromkeys(("qnli", "rte"), ("entailment", "not_entailment")),
    **dict.fromkeys(("mnli", "mnli_matched", "mnli_mismatched"), NLI),
}


@pytest.mark.parametrize("configuration", LABELS)
def test_labels_mean_the_classes_of_tensorflow_datasets(configuration):
    table = getattr(glue, configuration.partition("_")[0].upper())
    read = [table.read_label(Record(None, 1, {"x": text}), "x") for text in LABELS[configuration]]
    assert read == Glue.builder_configs[configuration].label_classes


REAL = ("CoLA cola", "SST-2 sst2", "MRPC mrpc", "RTE rte", "WNLI wnli", "QNLI qnli", "AX ax")


@pytest.fixture(scope="module")
def plain(shared_data, tmp_path_factory):
    return unpacked(shared_data / "glue", tmp_path_factory.mktemp("glue"))


@pytest.mark.parametrize("names", REAL)
def test_real_files_give_the_rows_of_tensorflow_datasets(names, shared_data, plain):
    folder, configuration = names.split()
    files = {"train": "train.tsv", "validation": "dev.tsv", "test": "test.tsv"}
    if configuration == "ax":
        files = {"test": "diagnostic.tsv"}
    known = {split.name: split for split in dataset("glue", configuration).splits}
    for split, file in files.items():
        path = plain / folder / file
        if not path.exists():  # QNLI's training file is not among them
            continue
        found = rows("glue", configuration, split, shared_data / "glue")
        expected = tfds_rows(configuration, path, file.partition(".")[0])
        assert encoded(Glue, configuration, found) == encoded(Glue, configuration, expected)
        assert len(found) in known[split].counts


def stripped(examples):
    return [(row["sentence1"].strip(), row["sentence2"].strip(), row["label"]) for row in examples]


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_split_mrpc_has_the_rows_of_the_original(split, shared_data, tmp_path):
    """train.tsv and dev.tsv were made by the published rule; only the numbers of rows differ."""
    for path in (shared_data / "glue" / "MRPC").glob("[dt]*.tsv.gz"):
        if path.name != "dev_ids.tsv.gz":
            written(tmp_path / "MRPC" / path.name, gzip.decompress(path.read_bytes()).decode())
    ours = rows("glue", "mrpc", split, tmp_path)
    assert stripped(ours) == stripped(rows("glue", "mrpc", split, shared_data / "glue"))
