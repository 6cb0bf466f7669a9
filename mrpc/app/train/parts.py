"""Places of the page that :mod:`mrpc.app.train.live` fills: HTML, or plots that grow."""

from __future__ import annotations

import gradio as gr

from mrpc.app.theme import PLOTLY_URL


def html_part(name: str, value: str = "", js: str = "", after: str = "null") -> gr.HTML:
    """Build the place of a part that is HTML.

    Args:
        name: of the part, and the id of its element.
        value: what is there until the first answer.
        js: runs when the place is built, with the names that ``js_on_load`` of :class:`gradio.HTML` has.
        after: JavaScript of a function that is called after each change.
    """
    return gr.HTML(
        value,
        js_on_load=f"{js}mrpcHtmlPart({name!r}, props, watch, {after});",
        elem_id=name,
        apply_default_css=False,
    )


def plots_part(name: str, template: str) -> gr.HTML:
    """Build the place of a part that is figures; ``template`` has an element ``data-plot`` for each."""
    return gr.HTML(
        html_template=template,
        js_on_load=f"mrpcPart({name!r}, mrpcLivePlots(element, {PLOTLY_URL!r}));",
        elem_id=name,
        apply_default_css=False,
    )
