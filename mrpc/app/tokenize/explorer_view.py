"""View 4: the rows of the data, searched and paged, with balance and lengths."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.alerts import render_alert
from mrpc.app.browser_events import told
from mrpc.app.code import render_code
from mrpc.app.tokenize import snippets
from mrpc.app.tokenize.link import Linked, choice, text, whole
from mrpc.app.tokenize.pair_panel import PairPanel
from mrpc.app.tokenize.render_rows import render_features, render_overview, render_page
from mrpc.app.tokenize.view import LIVE, LOADING, View, code_fold, intro, or_notice, view_html
from mrpc.core.data.pairs import SPLITS
from mrpc.errors import MrpcError

if TYPE_CHECKING:
    from mrpc.app.services import Services

PAGE_ROWS = 10
LABELS = [("both", "both"), ("equivalent", "equivalent"), ("not equivalent", "not_equivalent")]
SEND_ROW_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-row]');
  if (button) trigger('select', {row: Number(button.dataset.row)});
});
"""


def build_explorer_view(services: Services, panel: PairPanel, steps: gr.Radio) -> View:
    """Build the view."""
    with gr.Column(elem_classes="tk-step", visible=False) as column:
        intro(
            "The data: pairs that people labelled",
            "Three splits with the same columns. The label is a number with a name: 0 is not equivalent, 1 "
            "is equivalent. <code>idx</code> is the number of the pair in the original file, so rows and idx "
            "need not agree.",
        )
        with gr.Row(elem_classes="tk-controls"):
            split = gr.Radio(list(SPLITS), value="train", label="Split", elem_id="tk-x-split")
            label = gr.Radio(LABELS, value="both", label="Label", elem_id="tk-x-label")
            query = gr.Textbox(
                label="Search", placeholder="Text in either sentence", max_lines=1, elem_id="tk-x-query"
            )
            start = gr.Number(
                0, label="From row", precision=0, minimum=0, elem_id="tk-x-start", scale=0, min_width=120
            )
        shown = view_html(elem_id="tk-rows", value=LOADING, js_on_load=SEND_ROW_JS)
        with gr.Row(elem_classes="tk-pager"):
            first = gr.Button("First", size="sm", elem_id="tk-x-first", scale=0, min_width=90)
            back = gr.Button("Previous", size="sm", elem_id="tk-x-back", scale=0, min_width=110)
            on = gr.Button("Next", size="sm", elem_id="tk-x-next", scale=0, min_width=90)
        overview = view_html(elem_id="tk-overview")
        code = code_fold()
    inputs = [split, label, query, start]
    first.click(lambda: 0, outputs=start, **LIVE)
    back.click(on_back, inputs=start, outputs=start, **LIVE)
    on.click(partial(on_next, services), inputs=inputs, outputs=start, **LIVE)
    gr.on([split.input, label.input, query.input], lambda: 0, outputs=start, **LIVE)

    def on_select(value: Any, event: gr.EventData) -> tuple[Any, ...]:  # a partial would get no event
        return on_inspect_row(services, value, told(event, "row"))

    shown.select(
        on_select,
        inputs=split,
        outputs=[panel.sentence1, panel.sentence2, panel.message, steps, panel.split, panel.row],
        **LIVE,
    )
    return View(
        "data",
        column,
        inputs,
        [shown, overview, code],
        partial(on_explore, services),
        (
            Linked("rows", split, choice(*SPLITS)),
            Linked("label", label, choice(*(name for _, name in LABELS))),
            Linked("find", query, text(200)),
            Linked("from", start, whole(0, 10**9)),
        ),
    )


def on_explore(
    services: Services,
    sentence1: Any,
    sentence2: Any,
    checkpoint: Any,
    split: Any,
    label: Any,
    query: Any,
    start: Any,
) -> list[Any]:
    """Draw a page of rows, what the split holds, and the code."""

    def render() -> list[str]:
        wanted = "" if label == "both" else label
        page = services.explorer.page(split, query, wanted, 0 if start is None else start)
        about = render_overview(services.explorer.overview(split)) + render_features(
            services.explorer.num_rows(), services.explorer.features()
        )
        return [
            render_page(page, query.strip(), bool(query.strip() or wanted)),
            f'<div class="tk-view tk-columns tk-about">{about}</div>',
            render_code(snippets.explore(split, query.strip(), wanted)),
        ]

    return or_notice(render, 3)


def on_back(start: Any) -> int:
    """Go a page back."""
    return max(0, _number(start) - PAGE_ROWS)


def on_next(services: Services, split: Any, label: Any, query: Any, start: Any) -> Any:
    """Go a page on, or stay on the last one."""
    try:
        wanted = "" if label == "both" else label
        return services.explorer.page(split, query, wanted, _number(start) + PAGE_ROWS).start
    except MrpcError:
        return gr.skip()  # what is wrong stands where the rows would be


def on_inspect_row(services: Services, split: Any, number: Any) -> tuple[Any, ...]:
    """Open a row in the first view."""
    try:
        pair = services.explorer.row(split, number)
    except MrpcError as error:
        return gr.skip(), gr.skip(), render_alert(str(error)), gr.skip(), gr.skip(), gr.skip()
    said = f"Row {pair.number:,} of {split} is idx {pair.idx}: {pair.label_name.replace('_', ' ')}."
    message = f'<p class="tk-note" role="status">{said}</p>'
    return pair.sentence1, pair.sentence2, message, "pair", split, pair.number


def _number(value: Any) -> int:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
    return int(value) if is_number else 0
