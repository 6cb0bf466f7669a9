"""Pass rates of the behavioural checks, and their cases. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mrpc.app.tables import Table, column, marked, table
from mrpc.core.text.wording import mark_differences

if TYPE_CHECKING:
    from mrpc.app.compare.behavioral import ProbeAnswer, ProbeResult

EXPECTED_WORDS = {
    "equivalent": "equivalent",
    "not_equivalent": "not equivalent",
    "same": "the same answer as before",
}


def probes_figure(results: Sequence[ProbeResult]) -> dict[str, Any]:
    """Draw both pass rates of each probe with their 95 % intervals."""
    names = [result.probe.name for result in results][::-1]
    traces = []
    for place, color, symbol, shift in (
        ("left", "var(--base)", "circle-open", 0.14),
        ("right", "var(--tuned)", "circle", -0.14),
    ):
        rates, above, below = [], [], []
        for result in reversed(results):
            num = result.num_left if place == "left" else result.num_right
            interval = result.left_interval if place == "left" else result.right_interval
            rate = num / result.num_cases
            rates.append(round(100 * rate, 1))
            above.append(100 * (interval.high - rate))
            below.append(100 * (rate - interval.low))
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": place,
                "x": rates,
                "y": [number + shift for number in range(len(names))],
                "customdata": names,
                "marker": {
                    "color": color,
                    "symbol": symbol,
                    "size": 11,
                    "line": {"width": 2, "color": color},
                },
                "error_x": {
                    "symmetric": False,
                    "array": above,
                    "arrayminus": below,
                    "color": color,
                    "width": 3,
                },
                "hovertemplate": "%{customdata}: %{x:.0f} %<extra>" + place + "</extra>",
            }
        )
    layout = {
        "height": 90 + 52 * len(names),
        "xaxis": {"title": {"text": "passed, %, with 95 % intervals"}, "range": [-2, 102]},
        "yaxis": {
            "tickmode": "array",
            "tickvals": list(range(len(names))),
            "ticktext": names,
            "zeroline": False,
        },
    }
    said = "; ".join(
        f"{result.probe.name} {100 * result.num_left / result.num_cases:.0f} to "
        f"{100 * result.num_right / result.num_cases:.0f} %"
        for result in results
    )
    return {"data": traces, "layout": layout, "alt": f"Pass rates from left to right: {said}."}


def probes_table(results: Sequence[ProbeResult]) -> Table:
    """Return the probes with both pass rates."""
    columns = [
        column("name", "Probe"),
        column("rule", "What should hold"),
        column("expects", "Expected"),
        column("num", "Cases", "number"),
        column("left", "Left", "percent", help="passed on the left, in percent"),
        column("right", "Right", "percent", help="passed on the right, in percent"),
        column("p", "p", "number", digits=3, help="that the difference is luck (McNemar’s exact test)"),
    ]
    rows = [
        {
            "id": result.probe.name,
            "name": result.probe.name,
            "rule": result.probe.rule,
            "expects": EXPECTED_WORDS[result.probe.expects],
            "num": result.num_cases,
            "left": result.num_left / result.num_cases,
            "right": result.num_right / result.num_cases,
            "p": round(result.p, 4),
        }
        for result in results
    ]
    return table(columns, rows, "Behavioural checks", "probes.csv", open_label="Cases")


def cases_table(name: str, answers: Sequence[ProbeAnswer]) -> Table:
    """Return the cases of one probe, those that the right side fails first."""
    columns = [
        column("sentence1", "Sentence 1", "diff"),
        column("sentence2", "Sentence 2", "diff"),
        column("left", "Left", "percent", help="probability of “equivalent” on the left, in percent"),
        column("right", "Right", "percent", help="probability of “equivalent” on the right, in percent"),
    ]
    if any(answer.right_before is not None for answer in answers):
        columns += [
            column("left_before", "Left before", "percent", help="before the change"),
            column("right_before", "Right before", "percent", help="before the change"),
        ]
    columns += [column("left_passed", "Left result"), column("right_passed", "Right result")]
    rows = []
    for number, answer in enumerate(answers):
        first, second = mark_differences(answer.case.sentence1, answer.case.sentence2)
        rows.append(
            {
                "id": number,
                "sentence1": marked(first),
                "sentence2": marked(second),
                "left": round(answer.left, 4),
                "right": round(answer.right, 4),
                "left_before": answer.left_before,
                "right_before": answer.right_before,
                "left_passed": "passed" if answer.left_passed else "failed",
                "right_passed": "passed" if answer.right_passed else "failed",
            }
        )
    file = f"probe-{name.replace(' ', '-')}.csv"
    return table(columns, rows, f"Cases: {name}", file, open_label="Open", page_size=8)


def describe_symmetry(left_flips: float, right_flips: float) -> str:
    """Say how often the answer depends on which sentence comes first."""
    left, right = (f"{100 * share:.1f}\u00a0%" for share in (left_flips, right_flips))
    return (
        f"Symmetry: when the sentences are swapped, the answer flips for {left} of the pairs on the left and "
        f"{right} on the right."
    )
