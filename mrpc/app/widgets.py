"""What the page is built of: rows, folds and views that hold fields, and the places where views are drawn.

Gradio puts neighbouring fields into a Form of its own, one more component a group. Here they stand in the
row, fold or view itself. What a view draws is HTML, a chart or a table; charts and tables are drawn in the
browser (``assets/plots.js``, ``assets/tables.js``).
"""

from __future__ import annotations

from typing import TypeVar

import gradio as gr

from mrpc.app.templates import render_part
from mrpc.app.theme import PLOTLY_URL

CHARTS_JS = f"mrpcPlots.charts(element, props, watch, trigger, {PLOTLY_URL!r}) /* 'select' */"

Layout = TypeVar("Layout", gr.Row, gr.Column, gr.Accordion, gr.Tab)


def field_row(
    elem_id: str | None = None, elem_classes: str | None = None, *, equal_height: bool = False
) -> gr.Row:
    """Build a row of fields and buttons, which wraps where it is too narrow."""
    return without_form(gr.Row(elem_id=elem_id, elem_classes=elem_classes, equal_height=equal_height))


def fold(title: str, elem_id: str, elem_classes: str | None = None) -> gr.Accordion:
    """Build a closed fold. Views in it are drawn when it is opened; links can name it by its id."""
    return without_form(gr.Accordion(title, open=False, elem_id=elem_id, elem_classes=elem_classes))


def view_tab(title: str, at: str) -> gr.Tab:
    """Build one view's place in its tab.

    Args:
        title: what people read.
        at: where it is, "tab/view", as it stands in the page's address.
    """
    return without_form(gr.Tab(title, id=at, elem_id="at-" + at.replace("/", "-")))


def without_form(layout: Layout) -> Layout:
    """Let fields stand in a layout themselves."""
    layout.allow_expected_parents = False  # type: ignore[attr-defined]  # what Gradio's compact rows say
    return layout


def stage(name: str, *, elem_id: str | None = None, follows: bool = True, intro: str = "") -> gr.HTML:
    """Build the place where a view of this name is drawn first.

    Args:
        name: of the view.
        elem_id: of the element; ``view-NAME`` unless something else is wanted.
        follows: False for a view that is drawn on demand.
        intro: HTML of ours that stands above whatever is drawn.
    """
    return gr.HTML(
        render_part("loading") if follows else "",
        html_template=(f'<div class="intro">{intro}</div>' if intro else "") + "${value}",
        js_on_load=f"mrpc.stage(element, {name!r}, {'true' if follows else 'false'}, trigger, watch)"
        " /* 'draw' 'select' */",
        elem_id=elem_id or f"stage-{name}",
        elem_classes="stage",
        apply_default_css=False,
    )


def place(value: str = "", elem_id: str | None = None) -> gr.HTML:
    """Build a place for HTML that is drawn beside a stage, without Gradio's styles for running text."""
    return gr.HTML(value, elem_id=elem_id, apply_default_css=False, js_on_load=None)


def chart(elem_id: str, *, has_table: bool = False) -> gr.HTML:
    """Build a chart. Its value is a plotly figure as a dict with ``alt``, a sentence for screen readers.

    Clicking a point that has ``customdata`` sends a ``select`` event with it as ``id``. Its points are a
    table in a fold below it, made in the browser, unless ``has_table`` says that one stands beside it.
    """
    beside = ' data-numbers="beside"' if has_table else ""
    return gr.HTML(
        html_template=f'<div class="chart" role="img"{beside}></div>',
        js_on_load=CHARTS_JS,
        elem_id=elem_id,
        elem_classes="chart-box",
        apply_default_css=False,
    )


def charts(elem_id: str, *names: str) -> gr.HTML:
    """Build charts beside each other, each with an id of its own.

    The value is a list of what :func:`chart` takes. Clicking a point in any of them sends ``select``.
    """
    boxes = [
        f'<div class="chart-box" id="{name}"><div class="chart" role="img"></div></div>' for name in names
    ]
    return gr.HTML(
        html_template=f'<div class="charts">{"".join(boxes)}</div>',
        js_on_load=CHARTS_JS,
        elem_id=elem_id,
        apply_default_css=False,
    )


def table(elem_id: str) -> gr.HTML:
    """Build a table to sort, filter and download. Its value is what :func:`mrpc.app.format.table` returns.

    The button of a row sends a ``select`` event with the row's ``id``.
    """
    return gr.HTML(
        html_template='<div class="data-table"></div>',
        js_on_load="mrpcTables.table(element, props, watch, trigger) /* 'select' */",
        elem_id=elem_id,
        elem_classes="data-table-box",
        apply_default_css=False,
    )
