import json

import numpy as np

from mrpc.app.compare import render_explanations as render
from mrpc.app.compare.explaining import Neighbour, SideAttribution, Variation
from mrpc.app.compare.sides import Side
from mrpc.core.analysis.attribution import Attention, Attribution, WordAttribution, WordEffect

BASE = Side("r:base", "base", "base", None, 0, 0, "a" * 64)
BEST = Side("r:best", "tuned", "best (epoch 2)", None, 2, 60, "b" * 64)
EVIL = "<img src=x onerror=alert(1)>"


def test_what_ifs_show_the_change_and_the_flip():
    variations = [Variation("as typed", 0.6, 0.9), Variation("sentences swapped", 0.4, 0.9)]
    text = render.render_variations(
        [*variations, Variation("token_type_ids zeroed", None, 0.8)], BASE, BEST, (12, 13)
    )
    assert "<b>40.0</b>" in text
    assert "-20.0" in text
    assert text.count("answer flips") == 1
    assert "not used by this model" in text
    assert "12.0 ms on the left" in text


def test_words_are_escaped_and_the_sum_is_shown():
    words = [
        WordAttribution(None, "[CLS]", 0.0),
        WordAttribution(0, EVIL, 1.5),
        WordAttribution(1, "not", -0.5),
    ]
    text = render.render_words(SideAttribution(BEST, Attribution(words, 1.001, 32), 0.6), "right")
    assert "<img" not in text
    assert "They add up." in text
    assert "error 0.10 %, 32 Gauss-Legendre points, 0.6 s" in text
    assert 'class="cmp-word cmp-against"' in text
    careless = render.render_words(SideAttribution(BEST, Attribution(words, 2.0, 512), 0.6), "right")
    assert "read with care" in careless


def test_effects_of_both_sides_are_bars():
    left = [WordEffect(0, EVIL, 0.1), WordEffect(1, "no", -0.3)]
    figure = render.effects_figure(left, [WordEffect(0, EVIL, 0.0), WordEffect(1, "no", -0.5)])
    assert [trace["name"] for trace in figure["data"]] == ["left", "right"]
    assert figure["data"][1]["y"] == [0.0, -50.0]
    assert "<img" not in json.dumps(figure["layout"])
    assert "“no” moves the answer most: -50.0 points" in figure["alt"]
    assert render.effects_figure([], []) is None


def test_attention_in_both_directions():
    attention = Attention(
        ["the", "cat"],
        ["a"],
        np.array([[0.2], [0.4]]),
        np.array([[0.1, 0.3]]),
        np.array([0.3]),
        np.array([0.4]),
        0,
    )
    forth = render.attention_figure(attention, "forth", "left")
    back = render.attention_figure(attention, "back", "right")
    assert forth["data"][0]["z"] == [[20.0], [40.0]]
    assert back["data"][0]["z"] == [[10.0, 30.0]]
    assert back["layout"]["xaxis"]["ticktext"] == ["the", "cat"]
    assert len(render.layers_figure(attention, attention)["data"]) == 4
    assert len(render.layers_figure(None, attention)["data"]) == 2


def test_neighbours_are_a_table():
    (row,) = render.neighbours_table([Neighbour(3, "a b", "a c", 1, 0.99)])["rows"]
    assert row["label"] == "equivalent"
    assert ["c", "only"] in row["sentence2"]
