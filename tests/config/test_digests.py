"""Digests of gin files; no TensorFlow."""

import hashlib

import pytest

from mtf_synthesizer import errors
from mtf_synthesizer.config import digests


def test_a_file_of_a_package_is_known_by_its_name():
    assert digests.of_file("beam_search.gin") is None


def test_a_file_that_includes_none_of_the_users_has_the_digest_of_its_bytes(tmp_path):
    """Run records of earlier releases hold it."""
    text = "include 'beam_search.gin'\nd_ff = 13\n"
    (tmp_path / "mine.gin").write_text(text)
    found = digests.of_file(str(tmp_path / "mine.gin"))
    assert found == hashlib.sha256(text.encode()).hexdigest()


def test_an_edit_of_an_included_file_is_noticed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.gin").write_text("include 'middle.gin'\n")
    (tmp_path / "middle.gin").write_text('include  "last.gin"  # as gin allows\nd_model = 8\n')
    found = []
    for text in ("d_ff = 13\n", "d_ff = 17\n", "d_ff = 13\n"):
        (tmp_path / "last.gin").write_text(text)
        found.append(digests.of_files(["mine.gin", "beam_search.gin"], ["include 'last.gin'"]))
    assert found[0] == found[2]
    (mine, package, binding), (mine_edited, package_edited, binding_edited) = found[:2]
    assert mine != mine_edited and binding != binding_edited
    assert package is None and package_edited is None


def test_files_that_include_each_other_have_a_digest(tmp_path, monkeypatch):
    """Their error comes with the reading of the configuration."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.gin").write_text("include 'b.gin'\n")
    (tmp_path / "b.gin").write_text("include 'a.gin'\n")
    assert digests.of_file("a.gin") != digests.of_file("b.gin")


def test_a_missing_included_file_is_named(tmp_path):
    (tmp_path / "mine.gin").write_text("include 'beam_serch.gin'\n")
    with pytest.raises(errors.UserError, match=r"beam_serch\.gin.*beam_search\.gin"):
        digests.of_file(str(tmp_path / "mine.gin"))


def test_statements_are_known_by_what_they_bind(tmp_path, monkeypatch):
    """So a release that adds gin files, or comments, leaves finished comparisons open."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.gin").write_text("d_model = 8\n")
    found = []
    for text in ("d_ff = 13\n", "# Width.\nd_ff   =  13\n", "d_ff = 17\n", "a/d_ff = 13\n"):
        (tmp_path / "included.gin").write_text(text)
        (tmp_path / "mine.gin").write_text("include 'included.gin'\nx.y = @z()\n")
        found.append(digests.of_statements(["mine.gin"]))
    plain, commented, edited, scoped = found
    assert plain == commented
    assert len({plain, edited, scoped, digests.of_statements(["other.gin", "mine.gin"])}) == 4
