"""What holds the widgets of the page: rows, folds, and the views of a tab.

Gradio puts neighbouring fields into a Form of its own, one more component a group. Here they stand in the
row, fold or view itself.
"""

from __future__ import annotations

from typing import TypeVar

import gradio as gr

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
