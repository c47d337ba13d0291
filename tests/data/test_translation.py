"""Pairs of text files: WMT'14 in every layout, Multi30k."""

import pytest
from small_files import published, read, write

from mtf_synthesizer.data.spec import DataError
from mtf_synthesizer.data.translation import MULTI30K, WMT14

DE, FR = WMT14


def write_pair(folder, stem, source, *sentences):
    for language, lines in zip((source, "en"), zip(*sentences, strict=True), strict=True):
        write(folder, f"{stem}.{language}", *lines)


def test_wmt14_as_its_archives_unpack(tmp_path):
    write_pair(tmp_path, "training/europarl-v7.de-en", "de", ("eins", "one"), ("", "none"))
    write_pair(tmp_path, "commoncrawl.de-en", "de", ("zwei", "two"))
    # A next-line character and U+2028 don't end a line.
    odd = ("drei\x85\u2028vier", "three")
    write_pair(tmp_path, "training/news-commentary-v9.de-en", "de", odd)
    write_pair(tmp_path, "dev/newstest2013", "de", ("fünf", "five"), ("keins", ""))
    write(
        tmp_path,
        "dev/newstest2014-deen-src.de.sgm",
        '<srcset setid="newstest2014" srclang="any">',
        '<seg id="1">Sechs &amp; sieben</seg>',
        "</srcset>",
    )
    write(tmp_path, "dev/newstest2014-deen-ref.en.sgm", '<seg id="1">Six &amp; seven</seg>')
    assert read(DE, tmp_path) == {
        "train": [
            {"de": "eins", "en": "one"},
            {"de": "zwei", "en": "two"},
            {"de": odd[0], "en": "three"},
        ],
        "validation": [{"de": "fünf", "en": "five"}],
        "test": [{"de": "Sechs &amp; sieben", "en": "Six &amp; seven"}],
    }


def test_wmt14_french_in_one_folder_compressed(tmp_path):
    corpora = (
        "europarl-v7.fr-en",
        "commoncrawl.fr-en",
        "undoc.2000.fr-en",
        "news-commentary-v9.fr-en",
        "giga-fren.release2.fixed",
    )
    for number, stem in enumerate(corpora):
        write(tmp_path, f"{stem}.fr.gz", f"f{number}")
        write(tmp_path, f"{stem}.en.gz", f"e{number}")
    found = read(FR, tmp_path)
    assert found == {"train": [{"fr": f"f{n}", "en": f"e{n}"} for n in range(5)]}


@pytest.mark.parametrize("folder", ["dev", "test", "test-full"])
def test_wmt14_segments_as_people_indent_them(tmp_path, folder):
    stem = f"{folder}/newstest2014-fren"
    french = ['\t<hl> <seg id="1">un</seg></hl>', "<SEG id='2'>deux</SEG>"]
    write(tmp_path, f"{stem}-src.fr.sgm", *french)
    write(tmp_path, f"{stem}-ref.en.sgm", '  <seg id="1">one</seg> <seg id="2">two</seg>')
    assert read(FR, tmp_path)["test"] == [{"fr": "un", "en": "one"}, {"fr": "deux", "en": "two"}]


def test_a_segment_that_does_not_end_is_not_dropped(tmp_path):
    for name in ("src.de", "ref.en"):
        lines = '<seg id="1">one', "and more</seg>"
        write(tmp_path, f"newstest2014-deen-{name}.sgm", *lines)
    with pytest.raises(DataError, match=r"src\.de\.sgm: line 1: a <seg> does not end"):
        read(DE, tmp_path)


def test_wmt14_joined_before(tmp_path):
    write_pair(tmp_path, "train", "de", ("eins", "one"))
    write_pair(tmp_path, "newstest2013", "de", ("zwei", "two"))
    write_pair(tmp_path, "newstest2014", "de", ("drei", "three"))
    found = read(DE, tmp_path)
    assert {name: rows[0]["en"] for name, rows in found.items()} == {
        "train": "one",
        "validation": "two",
        "test": "three",
    }


def test_a_corpus_that_lacks_its_other_language_is_not_read(tmp_path):
    write_pair(tmp_path, "europarl-v7.de-en", "de", ("eins", "one"))
    write_pair(tmp_path, "commoncrawl.de-en", "de", ("eins", "one"))
    write(tmp_path, "news-commentary-v9.de-en.de", "eins")
    assert read(DE, tmp_path) == {}


@pytest.mark.parametrize("more", [("train.de", "train.en"), ("train.en", "train.de")])
def test_unequal_numbers_of_lines(tmp_path, more):
    long, short = more
    write(tmp_path, long, *"abcdefg")
    write(tmp_path, short, *"abcde")
    with pytest.raises(DataError) as error:
        read(DE, tmp_path)
    assert f"{long}: 7 sentences" in str(error.value)
    assert f"{short}: 5 sentences" in str(error.value)


def test_published_counts():
    # https://www.tensorflow.org/datasets/catalog/wmt14_translate
    assert published(DE) == {"train": 4_508_785, "validation": 3_000, "test": 3_003}
    assert published(FR) == {"train": 40_836_715, "validation": 3_000, "test": 3_003}


@pytest.mark.parametrize(
    ("stem", "split"),
    [
        ("test2016", "test"),
        ("test", "test"),
        ("valid", "validation"),
        ("test2017", "test_2017_flickr"),
        ("testcoco", "test_2017_mscoco"),
        ("test_2018_flickr", "test_2018_flickr"),
    ],
)
def test_other_names_of_multi30ks_files(tmp_path, stem, split):
    write_pair(tmp_path, stem, "de", ("eins", "one"))
    assert read(MULTI30K[0], tmp_path) == {split: [{"de": "eins", "en": "one"}]}


def test_multi30k(shared_data):
    german, french = MULTI30K
    found = read(german, shared_data / "mt" / "multi30k")
    without_2018 = {name: n for name, n in published(german).items() if "2018" not in name}
    assert {name: len(rows) for name, rows in found.items()} == without_2018
    assert found["train"][0] == {
        "de": "Zwei junge weiße Männer sind im Freien in der Nähe vieler Büsche.",
        "en": "Two young, White males are outside near many bushes.",
    }
    assert set(found["test"][6]) == set(german.features)
    # The samples have no French files.
    assert read(french, shared_data / "mt" / "multi30k") == {}
