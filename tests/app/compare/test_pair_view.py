from mrpc.app.compare.answers import PairAnswer
from mrpc.app.compare.pair_view import render_answers
from mrpc.app.compare.sides import Both, Side
from tests.html import parse

EVIL = "<img src=x onerror=alert(1)>"
BASE = Side("r:base", "base", "Base", None, 0, 0, "a" * 64)
BEST = Side("r:best", "tuned", f"{EVIL}, epoch 2", None, 2, 60, "b" * 64)
NEITHER = Both(None, None)


def test_both_answers_name_their_label_probability_and_weights():
    answers = Both(
        PairAnswer(BASE, "not_equivalent", 0.431, 12.4),
        PairAnswer(BEST, "equivalent", 0.912, 11.0),
    )
    page = parse(render_answers(answers, 1, NEITHER))
    base, best = page.all("article")
    assert [base.one("h3").text, best.one("h3").text] == ["Base", f"{EVIL}, epoch 2"]
    assert base.one("p", cls="cmp-label").text == "Not equivalent ✗ wrong"
    assert best.one("p", cls="cmp-label").text == "Equivalent ✓ right"
    assert base.one(role="meter").attributes["aria-valuenow"] == "43.1"
    assert "91.2 %" in best.text
    assert "head is random" in base.text
    assert "head is random" not in best.text
    assert ["weights", "aaaaaaaaaaaa"] in [
        [d.one("dt").text, d.one("dd").text] for d in base.one("dl").all("div")
    ]
    assert "The corpus says: equivalent." in page.one("p", cls="cmp-summary").text


def test_without_a_label_nobody_is_right():
    answer = PairAnswer(BASE, "equivalent", 0.9, 1.0)
    text = parse(render_answers(Both(answer, answer), None, NEITHER)).text
    assert "corpus" not in text
    assert "✓" not in text
    assert "Both give the same answer" in text


def test_a_model_that_says_one_thing_is_told_so():
    answers = Both(
        PairAnswer(BASE, "not_equivalent", 0.431, 12.4),
        PairAnswer(BEST, "equivalent", 0.912, 11.0),
    )
    base, best = parse(render_answers(answers, None, Both(None, 1))).all("article")
    assert not base.all(cls="notice-warn")
    assert "answers “equivalent” to every pair" in best.one(cls="notice notice-warn").text
