import json

from mrpc.app.compare import explain_figures as figures
from mrpc.app.compare import pair_tables as tables
from mrpc.app.compare import score_figures
from mrpc.app.compare.behavioral import CaseAnswer, TestResult
from mrpc.app.compare.cartography import MappedPair
from mrpc.app.compare.changes import ComparedPair, KindScore
from mrpc.app.compare.sides import Both
from mrpc.app.templates import render_macro
from mrpc.core.analysis.behavioral_tests import BehavioralCase, BehavioralTest
from tests.html import parse

NAMES = Both("Base", "Fine-tuned, epoch 2")
CASE = BehavioralCase("b a", "a <b>", ("a <b>", "b a"))
SWAPPED = TestResult(
    BehavioralTest("swapped order", "Order must not matter.", "same", [CASE, CASE]),
    [
        CaseAnswer(CASE, Both(0.4, 0.6), Both(0.6, 0.7), Both(False, True)),
        CaseAnswer(CASE, Both(0.4, 0.2), Both(0.3, 0.7), Both(True, False)),
    ],
)
MAPPED = MappedPair(4, "a b", "a <c>", 1, 0.2, 0.1, 0.0, "hard")


def test_pass_rates_are_drawn_for_both_sides():
    figure = score_figures.tests_figure(NAMES, [SWAPPED])
    assert [trace["x"] for trace in figure["data"]] == [[50.0], [50.0]]
    assert [trace["name"] for trace in figure["data"]] == list(NAMES)
    assert "swapped order 50 and 50 %" in figure["alt"]
    json.dumps(figure)


def test_behavioural_tests_and_cases_are_tables():
    (row,) = tables.tests_table(NAMES, [SWAPPED])["rows"]
    assert (row["id"], row["num"], row["first"], row["expects"]) == (
        "swapped order",
        2,
        0.5,
        "the same answer as before",
    )
    cases = tables.cases_table(NAMES, SWAPPED)
    assert [case["second_passed"] for case in cases["rows"]] == ["failed", "passed"]
    assert [case["id"] for case in cases["rows"]] == ["swapped order:1", "swapped order:0"]
    assert "before_first" in {column["key"] for column in cases["columns"]}
    assert cases["file"] == "behavioural-test-swapped-order.csv"


def test_symmetry_and_the_worst_test_are_sentences():
    text = parse(render_macro("compare/where.html", "tests", NAMES, SWAPPED, [SWAPPED])).text
    assert "swapped order (1 of 2 passed)." in text
    assert "Base changes its answer for 50.0 % of the pairs and Fine-tuned, epoch 2 for 50.0 %" in text


def test_the_map_has_a_mark_for_every_pair_up_to_a_limit():
    points = [(row, 0.1, 0.2, 0.5, ("easy", "hard", "ambiguous")[row % 3]) for row in range(20_001)]
    figure = figures.map_figure(points)
    assert sum(len(trace["x"]) for trace in figure["data"]) <= figures.MAX_POINTS
    assert "easy (6,667)" in figure["alt"]
    assert len({trace["marker"]["symbol"] for trace in figure["data"]}) == 3
    small = figures.map_figure(points[:30])
    assert sum(len(trace["x"]) for trace in small["data"]) == 30
    json.dumps(figure)


def test_opinions_stand_only_where_they_were_asked():
    keys = {column["key"] for column in tables.training_table(NAMES, [MAPPED], "hard")["columns"]}
    assert "opinion" not in keys
    asked = MappedPair(4, "a b", "a <c>", 1, 0.2, 0.1, 0.0, "hard", Both(0.1, 0.2), 1)
    (row,) = tables.training_table(NAMES, [asked], "doubted labels")["rows"]
    assert (row["id"], row["opinion"]) == ("train:4", "doubted")


def test_the_shown_cell_is_pressed():
    counts = {"fixed": 12, "broken": 3, "both_right": 1300, "both_wrong": 20}
    words = tables.CELL_WORDS
    page = parse(render_macro("compare/where.html", "cells", NAMES, counts, "broken", words))
    (pressed,) = page.all("button", aria_pressed="true")
    assert pressed.attributes["data-id"] == "broken"
    assert "1,300 Right both times" in page.text


def test_pairs_are_plain_data_with_marked_words():
    pair = ComparedPair(4, 77, "The <b>bank</b> closed.", "The bank opened.", 0, Both(0.75, 0.25), "fixed")
    table = tables.changes_table(NAMES, "validation", [pair], "Fixed")
    (row,) = table["rows"]
    assert row["id"] == "validation:4"
    assert row["change"] == -0.5
    assert ["</b> closed", "only"] in row["sentence1"]
    assert "".join(text for text, _ in row["sentence1"]) == pair.sentence1
    assert table["file"] == "pairs-fixed.csv"
    json.dumps(table)


def test_a_kind_that_is_worse_than_elsewhere_is_named_so():
    scores = [
        KindScore("one sentence is negated", 18, Both(9, 8), 3, 4, 0.02),
        KindScore("the names differ", 200, Both(120, 150), 40, 10, 0.9),
    ]
    assert [row["reading"] for row in tables.kinds_table(NAMES, scores)["rows"]] == [
        "worse than elsewhere",
        "as elsewhere",
    ]
