import json

import numpy as np

from mrpc.app.compare import explain_figures as figures
from mrpc.app.compare.explaining import Neighbour, SideAttribution, Variation
from mrpc.app.compare.pair_tables import neighbours_table
from mrpc.app.compare.pair_view import choose_head, render_variations, render_words
from mrpc.app.compare.sides import Both, Side
from mrpc.core.analysis.attribution import Attention, Attribution, WordAttribution, WordEffect
from tests.html import parse

BASE = Side("r:base", "base", "Base", None, 0, 0, "a" * 64)
BEST = Side("r:best", "tuned", "Fine-tuned, epoch 2", None, 2, 60, "b" * 64)
SIDES = Both(BASE, BEST)
NAMES = Both("Base", "Fine-tuned, epoch 2")
EVIL = "<img src=x onerror=alert(1)>"
ATTENTION = Attention(
    tokens1=["the", "cat"],
    tokens2=["a"],
    forth=np.array([[0.2], [0.4]]),
    back=np.array([[0.1, 0.3]]),
    forth_by_layer=np.array([0.3]),
    back_by_layer=np.array([0.4]),
    layer=0,
    head=None,
    forth_by_head=np.array([[0.2, 0.4]]),
    back_by_head=np.array([[0.5, 0.3]]),
)


def test_what_ifs_show_the_change_and_the_changed_answer():
    variations = [
        Variation("as typed", Both(0.6, 0.9)),
        Variation("sentences swapped", Both(0.4, 0.9)),
        Variation("token_type_ids zeroed", Both(None, 0.8)),
    ]
    page = parse(render_variations(SIDES, variations, Both(12, 13)))
    _, swapped, zeroed = page.rows()
    assert swapped[1:] == ["40.0 -20.0 answer changes", "90.0"]
    assert zeroed[1:] == ["not used by this model", "80.0 -10.0"]
    assert "takes 12.0 ms by Base and 13.0 ms by Fine-tuned, epoch 2" in page.text


def test_words_are_escaped_and_the_sum_is_shown():
    words = [
        WordAttribution(None, "[CLS]", 0.0),
        WordAttribution(0, EVIL, 1.5),
        WordAttribution(1, "not", -0.5),
    ]

    def draw(attribution):
        found = SideAttribution(BEST, attribution, 0.6)
        return parse(render_words(SIDES, Both(SideAttribution(BASE, None, 0.0), found))).all("article")

    base, best = draw(Attribution(words, 1.001, 32))
    assert "Baselines and exported models have no gradients" in base.text
    assert [strip.text for strip in best.all("p", cls="cmp-strip")] == [EVIL, "not"]
    assert "They add up." in best.text
    assert "error 0.10 %, 32 Gauss-Legendre points, 0.6 s" in best.text
    assert best.one("span", cls="cmp-word cmp-against").text == "not"
    assert "read with care" in draw(Attribution(words, 2.0, 512))[1].text
    assert "roughly; a training goes first" in draw(Attribution(words, 1.03, 16, max_error=0.05))[1].text


def test_effects_of_both_sides_are_bars():
    first = [WordEffect(0, EVIL, 0.1), WordEffect(1, "no", -0.3)]
    second = [WordEffect(0, EVIL, 0.0), WordEffect(1, "no", -0.5)]
    figure = figures.effects_figure(NAMES, Both(first, second))
    assert [trace["name"] for trace in figure["data"]] == list(NAMES)
    assert figure["data"][1]["y"] == [0.0, -50.0]
    assert "<img" not in json.dumps(figure["layout"])
    assert "“no” moves the answer most: -50.0 points" in figure["alt"]
    assert figures.effects_figure(NAMES, Both([], [])) is None


def test_attention_in_both_directions():
    forth = figures.attention_figure(ATTENTION, "forth", "Base", "grey")
    back = figures.attention_figure(ATTENTION, "back", "Base", "grey")
    assert forth["data"][0]["z"] == [[20.0], [40.0]]
    assert back["data"][0]["z"] == [[10.0, 30.0]]
    assert back["layout"]["xaxis"]["ticktext"] == ["the", "cat"]
    assert "layer 1, all heads, from sentence 2 to sentence 1" in back["alt"]
    assert len(figures.layers_figure(NAMES, Both(ATTENTION, ATTENTION))["data"]) == 4
    assert len(figures.layers_figure(NAMES, Both(None, ATTENTION))["data"]) == 2


def test_heads_are_a_map_to_choose_from():
    figure = figures.heads_figure(ATTENTION, "forth", "Base", "grey")
    assert figure["data"][0]["z"] == [[20.0, 40.0]]
    assert figure["data"][0]["customdata"] == [["1:1", "1:2"]]
    assert "most in layer 1, head 2, with 40.0 %" in figure["alt"]
    assert choose_head("3:11") == {"layer": 3, "head": 11}
    for nonsense in (None, 3, "3", "a:b", "3:", "1:2:3", "1234567:89"):
        assert choose_head(nonsense) == {}


def test_neighbours_are_a_table():
    (row,) = neighbours_table([Neighbour(3, "a b", "a c", 1, 0.99)])["rows"]
    assert row["label"] == "equivalent"
    assert ["c", "only"] in row["sentence2"]
