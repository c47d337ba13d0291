"""Pages of studies: numbers to the right, layers from 1, masked keys unlike weight 0."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from mtf_synthesizer.studies.demo import page as demo_page
from mtf_synthesizer.studies.maps import pictures
from mtf_synthesizer.studies.pages import figures, page


def test_layers_count_from_1():
    assert figures.scope_label("encoder/block_000/layer_000/SyntheticAttention") == "Enc L1"
    assert figures.scope_label("decoder/block_011/layer_001") == "Dec L12"


def test_masked_keys_are_unlike_any_weight():
    weights = np.array([[1.0, 0.0, 0.0], [1e-30, 1.0, 0.0], [0.5, 0.25, 0.25]])
    image = figures.draw_attention(Figure().subplots(), weights)
    colours = image.cmap(image.norm(image.get_array()))
    masked = colours[weights == 0]
    assert (masked == masked[0]).all()
    shades = image.cmap(np.linspace(0, 1, 1001))
    assert np.abs(shades - masked[0]).max(-1).min() > 0.05
    assert np.abs(colours[1, 0] - image.cmap(0.0)).max() < 0.01  # weight 1e-30 is as good as 0


def test_the_colour_scale_shows_weights():
    figure = Figure()
    axis = figure.subplots()
    figures.colour_scale(figure, figures.draw_attention(axis, np.full((3, 3), 1 / 3)), ax=axis)
    labels = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert labels[0] == "0" and labels[-1] == "1" and "0.25" in labels


@pytest.mark.parametrize(
    "cell",
    ["32.9", "−0.5", "1,024", "92.0/88.7", "4.97 ± 0.10", "63 %", "1e-05", "< 0.001", "not run"],
)
def test_numbers_are_known(cell):
    assert page.is_number(cell)
    assert page.numeric_columns([["r", cell], ["v", "7"]]) == [False, True]


@pytest.mark.parametrize("cell", ["R+V", "seed 0; 9 steps", "v1.2.3", "7 to 9"])
def test_texts_are_no_numbers(cell):
    assert page.numeric_columns([[cell], ["7"]]) == [False]


def test_a_column_of_dashes_is_a_text():
    assert page.numeric_columns([["–", "–"], ["–", "7"]]) == [False, True]


def test_short_names_stay_in_view():
    assert page.short_names([["R", "7"], ["R+V, plain sum", "9"]])
    assert not page.short_names([["R", "7"], ["", "9"]])
    assert not page.short_names([["a statement of more than thirty letters", "7"]])


def test_notes_stand_apart_from_values():
    assert page.split_note("4.97 ± 0.10 (seeds 0, 1)") == ("4.97 ± 0.10", "seeds 0, 1")
    assert page.split_note("V (T5)") == ("V (T5)", "")
    html = page.render(
        "report.html",
        "mtf_synthesizer report runs",
        **{"title": "t", "legend": "l", "done": "d", "missing": "m", "warnings": []},
        sections=[SECTION],
    )
    assert '<table class="named">' in html
    assert '<a href="#table">Table</a>' in html
    assert html.index("<nav") < html.index("<main>")  # a phone shows the contents first
    words = "<span>mtf_synthesizer</span> <span>compare</span>"
    assert f"<code>{words} </code>" in html
    assert '<th class="number">ours</th>' in html and "<th>model</th>" in html
    assert '<td class="number">4.97 ± 0.10<br><small>seeds 0, 1</small></td>' in html
    assert "<footer>Made by <code>mtf_synthesizer report runs</code>.</footer>" in html


class SECTION:
    title = "Table"
    heads = ("model", "ours")
    rows = (("R", "4.97 ± 0.10 (seeds 0, 1)"), ("V", "not run"))
    notes = missing = ()
    commands = ("mtf_synthesizer compare",)
    is_empty = False


def test_heads_stand_below_each_other_where_tokens_are_written(monkeypatch):
    """A layer's picture is about as wide as a page's column, so that a page does not shrink it."""
    drawn = []
    monkeypatch.setattr(figures, "png", drawn.append)
    for tokens, grid in ((7, (1, 5)), (23, (3, 2))):
        names = [f"t{n}" for n in range(tokens)]
        pictures._layer(np.full((5, tokens, tokens), 1 / tokens), (names, names))
        axes = [axis for axis in drawn.pop().axes if axis.get_title()]
        assert [axis.get_title() for axis in axes] == [f"head {n}" for n in range(1, 6)]
        assert axes[0].get_subplotspec().get_gridspec().get_geometry() == grid


def test_alpha_shows_the_encoder_first_with_a_legend(monkeypatch):
    drawn = []
    monkeypatch.setattr(figures, "png", lambda figure: drawn.append(figure) or b"")
    alphas = {f"{stack}/block_00{n}/layer_000": [[0.3, 0.7]] for stack, n in LAYERS}
    demo_page._alphas({"rv": {"attention": {"alphas": alphas}}})
    (figure,) = drawn
    titles = [axis.get_title() for axis in figure.axes if axis.axison]
    assert titles == ["Enc L1", "Enc L2", "Dec L1"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["R", "V"]


LAYERS = (("decoder", 0), ("encoder", 1), ("encoder", 0))
