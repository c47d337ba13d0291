"""Damage for hypothesis: what happens to files on disks, in downloads and in editors."""

import copy
import json

from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
) | st.sampled_from([2**31, -(2**63), 10**400, "\ud800", "1e999", "", [], {}])
# Texts that have broken readers somewhere.
FRAGMENTS = (
    b'"', b"'", b"\t", b"\r", b"\n\n", b",", b"[" * 9, b"{", b"}", b"\\", b"\\ud800", b"\0",
    b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", "\u2028\x85\u00b2\u0663".encode(), b"NaN", b"-1",
    b"1e999", b"9" * 5000, b"null", b"<script>", b"../../evil", b"$", b"@highlight", b" = = ",
)  # fmt: skip


def _cut(draw, content):
    return content[: draw(st.integers(0, len(content)))]


def _other_byte(draw, content):
    place = draw(st.integers(0, max(0, len(content) - 1)))
    return content[:place] + draw(st.binary(max_size=2)) + content[place + 1 :]


def _inserted(draw, content):
    place = draw(st.integers(0, len(content)))
    return content[:place] + draw(st.sampled_from(FRAGMENTS)) + content[place:]


def _moved_lines(draw, content):
    """Lines that are lost, doubled or in another order."""
    lines = content.splitlines(keepends=True)
    places = st.lists(st.sampled_from(range(len(lines))), max_size=len(lines) + 1)
    return b"".join(lines[i] for i in draw(places)) if lines else content


def _other_value(draw, content):
    """Another value somewhere in a line of JSON."""
    lines = content.split(b"\n")
    place = draw(st.integers(0, len(lines) - 1))
    try:
        value = json.loads(lines[place])
    except (ValueError, RecursionError):
        return content
    lines[place] = json.dumps(draw(changed(value))).encode()
    return b"\n".join(lines)


_ACCIDENTS = (_cut, _other_byte, _inserted, _moved_lines, *[_other_value] * 4)


@st.composite
def damaged(draw, content):
    """A file's bytes after an accident or several; sometimes something else altogether."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=200) | st.text(max_size=200).map(_encoded))
    for _ in range(draw(st.integers(1, 3))):
        content = draw(st.sampled_from(_ACCIDENTS))(draw, content)
    return content


def _encoded(text):
    return text.encode("utf-8", "surrogatepass")


def _places(value, place=()):
    """Every part of a JSON value, by the keys and indices that lead to it."""
    yield place
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(part, (*place, key))


@st.composite
def changed(draw, value):
    """A JSON value in which one part, at any depth, is another or is gone."""
    *outer, last = draw(st.sampled_from(list(_places({"all": value}))[1:]))
    whole = {"all": copy.deepcopy(value)}
    part = whole
    for key in outer:
        part = part[key]
    if outer and draw(st.integers(0, 4)) == 0:
        del part[last]
    else:
        part[last] = draw(JSON)
    return whole["all"]
