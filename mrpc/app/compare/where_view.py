"""Where both sides fail: behavioural tests first, then one table of pairs with filters, and the data map."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.compare.pair_view import open_pair
from mrpc.app.inputs import Linked, text
from mrpc.app.templates import render, render_macro, render_part
from mrpc.app.view import View, bind
from mrpc.app.widgets import chart, field_row, fold, stage, table
from mrpc.errors import InputError
from mrpc.progress import silent

if TYPE_CHECKING:
    from gradio.components import Component

    from mrpc.app.compare.comparisons import Comparison
    from mrpc.app.compare.sides_view import SidesRow
    from mrpc.app.services import Services
    from mrpc.app.spine import Spine
    from mrpc.app.task import Task

ANY_KIND = "any kind"
REGION_WORDS = {
    "easy": "Easy: learned early and kept.",
    "ambiguous": "Ambiguous: the answer kept changing during training; it learns most from these.",
    "hard": "Hard: the model never agreed with the label. Difficult pairs, and doubtful labels.",
}
DOUBT = "doubted labels"
FILTERS = [
    ("Changed: fixed and broken", "changed"),
    ("Fixed", "fixed"),
    ("Broken", "broken"),
    ("Right both times", "both_right"),
    ("Wrong both times", "both_wrong"),
    ("All pairs", "all"),
    ("Training pairs: ambiguous", "ambiguous"),
    ("Training pairs: hard", "hard"),
    ("Training pairs: easy", "easy"),
    ("Training pairs: doubted labels", DOUBT),
]
GO_TO_PAIR_JS = "() => mrpc.go('compare/pair')"
SHOW_PAIRS_JS = "() => document.querySelector('#stage-compare-pairs')?.scrollIntoView({behavior: 'smooth'})"


def build_where_view(services: Services, spine: Spine, row: SidesRow) -> None:
    """Build the view."""
    tests = stage("compare-tests", intro=render("compare/about.html", view="tests"))
    tests_chart = chart("cmp-tests-chart", has_table=True)
    tests_table = table("cmp-tests")
    shown_pairs = stage("compare-pairs")
    filters = _build_filters(spine)
    pairs_table = table("cmp-pairs")
    View(
        "compare-tests",
        row.sides,
        {"stage": tests, "chart": tests_chart, "table": tests_table, "pairs": filters["pairs"]},
        partial(draw_tests, services),
        tasks=services.tasks,
    ).bind()
    View(
        "compare-pairs",
        row.on_split | filters,
        {"stage": shown_pairs, "table": pairs_table, "kind": filters["kind"]},
        partial(draw_pairs, services),
    ).bind()
    with fold("Kinds of pairs", "cmp-kinds-section"):
        kinds = stage("compare-kinds")
        kinds_table = table("cmp-kinds")
    View(
        "compare-kinds",
        row.on_split,
        {"stage": kinds, "shown": kinds_table},
        partial(draw_kinds, services),
    ).bind()
    with fold("Data map of the training pairs", "cmp-map-section"):
        mapped = stage("compare-map")
        map_chart = chart("cmp-map")
    View(
        "compare-map",
        row.sides,
        {"stage": mapped, "shown": map_chart},
        partial(draw_map, services),
    ).bind()
    bind(shown_pairs.select, lambda id: {"pairs": id}, {}, filters, data=("id",))
    for events, choose in (
        ([tests_table.select, tests_chart.select], lambda id: {"pairs": f"test:{id}"}),
        ([kinds_table.select], lambda id: {"pairs": "all", "kind": id}),
    ):
        bind(events, choose, {}, filters, data=("id",)).then(None, js=SHOW_PAIRS_JS, api_visibility="private")

    def open_row(id: object, **sides: object) -> dict[str, object]:
        row_id = f"train:{id}" if isinstance(id, int) else id  # a mark of the map is a number of train
        return open_pair(services, id=row_id, **sides)

    bind([pairs_table.select, map_chart.select], open_row, row.sides, spine.pair, data=("id",)).success(
        None, js=GO_TO_PAIR_JS, api_visibility="private"
    )


def _build_filters(spine: Spine) -> dict[str, Component]:
    """Build what chooses the pairs that are listed; an address can hold it."""
    with field_row(elem_classes="cmp-controls"):
        # The cases of behavioural tests come as further choices, so any text may come and is checked.
        pairs = gr.Dropdown(
            FILTERS,
            value="changed",
            label="Pairs",
            elem_id="cmp-filter",
            allow_custom_value=True,
            min_width=260,
        )
        kind = gr.Dropdown(
            [ANY_KIND],
            value=ANY_KIND,
            label="Kind of pairs of the split",
            elem_id="cmp-kind",
            allow_custom_value=True,
            min_width=260,
        )
    spine.links.extend([Linked("pairs", pairs, text(100)), Linked("kind", kind, text(100))])
    return {"pairs": pairs, "kind": kind}


def draw_tests(services: Services, task: Task, first: object, second: object) -> dict[str, object]:
    """Ask both sides the behavioural tests and show the pass rates."""
    from mrpc.app.compare.behavioral import SYMMETRY_TEST
    from mrpc.app.compare.pair_tables import tests_table
    from mrpc.app.compare.score_figures import plot_names, tests_figure
    from mrpc.app.compare.scores import one_answer_findings

    comparison = services.comparisons.compare(first, second, "validation", task.progress)
    warning = render_macro("compare/parts.html", "findings", one_answer_findings(comparison.scores))
    # If the background asks them already, this waits for it.
    task.progress("Asking the behavioural tests", 0, 0, warning)
    results = comparison.behavioral_tests(
        lambda what, num_done, num_total: task.progress(what, num_done, num_total, warning)
    )
    names = comparison.scores.names
    symmetry = next(result for result in results if result.test.name == SYMMETRY_TEST)
    lowest = min(result.rates.second for result in results)
    worst = [result for result in results if result.rates.second == lowest]
    choices = [*FILTERS, *((f"Cases: {result.test.name}", f"test:{result.test.name}") for result in results)]
    return {
        "stage": warning + render_macro("compare/where.html", "tests", names, symmetry, worst),
        "chart": tests_figure(plot_names(comparison.sides), results),
        "table": tests_table(names, results),
        "pairs": gr.update(choices=choices),
    }


def draw_pairs(services: Services, pairs: object, kind: object, **asked: object) -> dict[str, object]:
    """List the pairs that the filters ask for."""
    from mrpc.app.compare.pair_tables import CELL_WORDS

    comparison = services.comparisons.compare_shown(silent, **asked)
    if comparison is None:
        said = "Test is shown here once you asked for it under Scores."
        return {"stage": render_part("note", said), "table": None}
    kinds = [score.name for score in comparison.changes.kinds]
    kind = kind if kind in kinds else None
    text, listed = _list_pairs(comparison, pairs, kind)
    cells = render_macro(
        "compare/where.html",
        "cells",
        comparison.scores.names,
        comparison.scores.transitions._asdict(),
        pairs,
        CELL_WORDS,
    )
    update = gr.update(choices=[ANY_KIND, *kinds], value=kind or ANY_KIND)
    return {"stage": cells + render_part("quiet", text), "table": listed, "kind": update}


def _list_pairs(comparison: Comparison, pairs: object, kind: str | None) -> tuple[str, object]:
    """Return a sentence about the pairs that a filter asks for, and their table."""
    from mrpc.app.compare import pair_tables
    from mrpc.app.compare.behavioral import find_result
    from mrpc.app.compare.cartography import MAX_LISTED
    from mrpc.app.compare.changes import CELLS, CHANGED_CELLS

    names, words = comparison.scores.names, comparison.scores.words
    if isinstance(pairs, str) and pairs.startswith("test:"):
        result = find_result(comparison.behavioral_tests(), pairs.removeprefix("test:"))
        failed = result.num_cases - result.num_passed.second
        text = (
            f"{result.test.rule} Expected: {pair_tables.EXPECTED_WORDS[result.test.expects]}. {names.second} "
            f"fails {failed} of {result.num_cases} cases; those come first."
        )
        return text, pair_tables.cases_table(names, result, words)
    titles = {value: title for title, value in FILTERS}
    if not isinstance(pairs, str) or pairs not in titles:
        raise InputError(f"There are no pairs called {str(pairs)[:60]!r}. Choose from the list.")
    if pairs == DOUBT:
        found = comparison.doubtful_labels()
        num = sum(pair.num_doubts > 0 for pair in found)
        text = (
            f"The {len(found)} training pairs to whose label the model gave the lowest probability during "
            f"training. A fine-tuned model that is compared contradicts the corpus for {num} of them: look "
            "at those twice."
        )
        return text, pair_tables.training_table(names, found, DOUBT, words)
    if pairs in REGION_WORDS:
        found, num = comparison.training_map.in_region(pairs), comparison.training_map.counts()[pairs]
        more = f" The first {MAX_LISTED} are listed." if num > MAX_LISTED else ""
        text = f"{REGION_WORDS[pairs]} {num:,} pairs.{more}"
        return text, pair_tables.training_table(names, found, pairs, words)
    changes = comparison.changes
    if pairs == "all" and kind is not None:
        listed, order = changes.of_kind(kind), f"those that {names.second} has most wrong first"
    else:
        cells = {"all": CELLS, "changed": CHANGED_CELLS}.get(pairs, (pairs,))
        listed, order = changes.in_cell(*cells, kind=kind), "the largest change in probability first"
    what = f"{titles[pairs]}, {kind}" if kind else titles[pairs]
    text = f"{what}: {len(listed):,} pairs of {comparison.split}, {order}."
    return text, pair_tables.changes_table(names, comparison.split, listed, what, words)


def draw_kinds(services: Services, **asked: object) -> dict[str, object]:
    """Score every kind of pairs."""
    from mrpc.app.compare.pair_tables import kinds_table
    from mrpc.app.compare.scores import one_answer_findings

    comparison = services.comparisons.compare_shown(silent, **asked)
    if comparison is None:
        return {"stage": "", "shown": None}
    warning = render_macro("compare/parts.html", "findings", one_answer_findings(comparison.scores))
    return {
        "stage": warning + render("compare/about.html", view="kinds"),
        "shown": kinds_table(comparison.scores.names, comparison.changes.kinds),
    }


def draw_map(services: Services, first: object, second: object) -> dict[str, object]:
    """Draw the data map."""
    from mrpc.app.compare.explain_figures import map_figure

    found = services.comparisons.compare(first, second).training_map
    return {"stage": render("compare/about.html", view="map"), "shown": map_figure(found.points())}
