"""Pages of studies: numbers to the right, layers from 1, masked keys unlike weight 0."""

import numpy as np
import pytest
from matplotlib.figure import Figure

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
    "cell", ["32.9", "−0.5", "1,024", "92.0/88.7", "4.97 ± 0.10", "63 %", "1e-05", "–", "not run"]
)
def test_numbers_are_known(cell):
    assert page.is_number(cell)
    assert page.numeric_columns([["r", cell], ["v", "7"]]) == [False, True]


@pytest.mark.parametrize("cell", ["R+V", "seed 0; 9 steps", "v1.2.3", "7 to 9"])
def test_texts_are_no_numbers(cell):
    assert page.numeric_columns([[cell], ["7"]]) == [False]


def test_notes_stand_apart_from_values():
    assert page.split_note("4.97 ± 0.10 (seeds 0, 1)") == ("4.97 ± 0.10", "seeds 0, 1")
    assert page.split_note("V (T5)") == ("V (T5)", "")
    html = page.render(
        "report.html",
        "mtf_synthesizer report runs",
        **{"title": "t", "legend": "l", "done": "d", "missing": "m", "warnings": []},
        sections=[SECTION],
    )
    assert '<th class="number">ours</th>' in html and "<th>model</th>" in html
    assert '<td class="number">4.97 ± 0.10<br><small>seeds 0, 1</small></td>' in html
    assert "<footer>Made by <code>mtf_synthesizer report runs</code>.</footer>" in html


class SECTION:
    title = "Table"
    heads = ("model", "ours")
    rows = (("R", "4.97 ± 0.10 (seeds 0, 1)"), ("V", "not run"))
    notes = commands = missing = ()
    is_empty = False
