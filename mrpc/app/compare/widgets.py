"""Two widgets that the browser draws from plain data: a chart, and a table to sort, filter and download.

Their values are plain objects made by ``mrpc.app``; the drawing is in ``assets/compare.js``.
"""

from __future__ import annotations

import gradio as gr

from mrpc.app.theme import PLOTLY_URL


def build_chart(elem_id: str) -> gr.HTML:
    """Build a chart. Its value is a plotly figure as a dict with ``alt``, a sentence for screen readers.

    Clicking a point that has ``customdata`` sends a ``select`` event with it as ``id``.
    """
    return gr.HTML(
        html_template='<div class="cmp-chart" role="img"></div>',
        js_on_load=f"mrpcCompare.chart(element, props, watch, trigger, {PLOTLY_URL!r}) /* 'select' */",
        elem_id=elem_id,
        elem_classes="cmp-chart-box",
        apply_default_css=False,
    )


def build_table(elem_id: str) -> gr.HTML:
    """Build a table. Its value is what :func:`mrpc.app.tables.table` returns.

    The button of a row sends a ``select`` event with the row's ``id``.
    """
    return gr.HTML(
        html_template='<div class="cmp-table"></div>',
        js_on_load="mrpcCompare.table(element, props, watch, trigger) /* 'select' */",
        elem_id=elem_id,
        elem_classes="cmp-table-box",
        apply_default_css=False,
    )


def selected_id(event: gr.EventData) -> object:
    """Return the ``id`` of a ``select`` event, as the browser sent it: not to be trusted.

    A handler that takes an event is a plain function: Gradio gives none to a ``functools.partial``.
    """
    data = event._data  # None, or anything, when a script calls the handler
    return data.get("id") if isinstance(data, dict) else None


def quiet(text: str) -> str:
    """Return an explanation in a smaller, greyer voice. The text is ours and may hold HTML."""
    return f'<p class="cmp-quiet">{text}</p>'
