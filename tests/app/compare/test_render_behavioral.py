import json

from mrpc.app.compare import render_behavioral as render
from mrpc.app.compare.behavioral import ProbeAnswer, ProbeResult
from mrpc.core.analysis.behavioral_tests import BehavioralCase, BehavioralTest

CASE = BehavioralCase("b a", "a <b>", ("a <b>", "b a"))
SWAPPED = ProbeResult(
    BehavioralTest("swapped order", "Order must not matter.", "same", [CASE, CASE]),
    [ProbeAnswer(CASE, 0.4, 0.6, 0.6, 0.7, False, True), ProbeAnswer(CASE, 0.4, 0.2, 0.3, 0.7, True, False)],
)


def test_pass_rates_are_drawn_for_both_sides():
    figure = render.probes_figure([SWAPPED])
    assert [trace["x"] for trace in figure["data"]] == [[50.0], [50.0]]
    assert "swapped order 50 to 50 %" in figure["alt"]
    json.dumps(figure)


def test_probes_and_cases_are_tables():
    (row,) = render.probes_table([SWAPPED])["rows"]
    assert (row["id"], row["num"], row["left"], row["expects"]) == (
        "swapped order",
        2,
        0.5,
        "the same answer as before",
    )
    cases = render.cases_table("swapped order", SWAPPED.answers)
    assert [case["right_passed"] for case in cases["rows"]] == ["passed", "failed"]
    assert "left_before" in {column["key"] for column in cases["columns"]}
    assert cases["file"] == "probe-swapped-order.csv"


def test_symmetry_is_a_sentence():
    assert (
        "flips for 4.7\u00a0% of the pairs on the left and 1.7\u00a0% on the right"
        in render.describe_symmetry(0.0466, 0.0172)
    )
