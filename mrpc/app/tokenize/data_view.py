"""Inspect, Data: the rows, searched, filtered and paged, and what a split holds."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.address import Linked, choice, text, whole
from mrpc.app.templates import render, render_part
from mrpc.app.tokenize import snippets
from mrpc.app.view import View, bind, place, stage
from mrpc.core.data.pairs import SPLITS

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.app.spine import Spine

LABELS = [("both", "both"), ("equivalent", "equivalent"), ("not equivalent", "not_equivalent")]


def build_data_view(services: Services, spine: Spine) -> None:
    """Build the view.

    Args:
        services: of the app.
        spine: gets the pair that is chosen here.
    """
    place(render("tokenize/about.html", view="data"))
    with gr.Row(elem_classes="tk-controls"):
        split = gr.Radio(list(SPLITS), value="train", label="Split", elem_id="data-split")
        label = gr.Radio(LABELS, value="both", label="Label", elem_id="data-label")
        query = gr.Textbox(
            label="Search", placeholder="Text in either sentence", max_lines=1, elem_id="data-query"
        )
        start = gr.Number(
            0, label="Rows to skip", precision=0, minimum=0, elem_id="data-start", min_width=110
        )
    rows = stage("data")
    about = place(elem_id="data-about")
    place(render_part("next", "inspect/pair", "a pair becomes tokens"))

    asked = {"split": split, "label": label, "query": query}
    View(
        "data", asked | {"start": start}, {"rows": rows, "about": about}, partial(show_data, services)
    ).bind()
    bind(
        rows.select,
        partial(select_row, services),
        {"split": split},
        spine.pair | {"start": start},
        data=("row", "start"),
    )
    gr.on(
        [component.input for component in asked.values()],  # type: ignore[attr-defined]
        None,
        outputs=start,
        js="() => 0",
        api_visibility="private",
    )
    spine.links.extend(
        [
            Linked("rows", split, choice(*SPLITS)),
            Linked("label", label, choice(*(name for _, name in LABELS))),
            Linked("find", query, text(200)),
            Linked("from", start, whole(0, 10**9)),
        ]
    )


def show_data(
    services: Services, split: object, label: object, query: object, start: object
) -> dict[str, object]:
    """Draw some rows, what the split holds, and the code."""
    from mrpc.app.tokenize.data import PAGE_ROWS, marked  # brings numpy and pyarrow along

    explorer = services.explorer
    wanted = "" if label == "both" else label
    page = explorer.page(split, query, wanted, 0 if start is None else start)
    searched = str(query).strip()
    return {
        "rows": render(
            "tokenize/data.html",
            page=page,
            rows=[
                (row, marked(row.sentence1, searched), marked(row.sentence2, searched)) for row in page.rows
            ],
            page_rows=PAGE_ROWS,
            is_filtered=bool(searched or wanted),
        ),
        "about": render(
            "tokenize/split.html",
            overview=explorer.overview(split),
            num_rows=explorer.num_rows(),
            features=explorer.features(),
            code=snippets.explore(str(split), searched, str(wanted)),
        ),
    }


def select_row(services: Services, split: object, row: object, start: object) -> dict[str, object]:
    """Make a row the current pair, or show other rows; both come from a button in the page."""
    if row is None:
        return {"start": int(start)} if isinstance(start, str) and _is_number(start) else {}
    number = int(row) if isinstance(row, str) and _is_number(row) else row
    pair = services.explorer.row(split, number)
    return {"sentence1": pair.sentence1, "sentence2": pair.sentence2}


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= 12
