"""Inspect, Data: the rows, searched, filtered and paged, and what a split holds."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.inputs import Linked, choice, text, whole
from mrpc.app.templates import render
from mrpc.app.tokenize.snippets import snippet
from mrpc.app.view import View, bind
from mrpc.app.visitors import caller
from mrpc.app.widgets import field_row, place, stage
from mrpc.core.data.pairs import SPLITS, label_words

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.app.spine import Spine
    from mrpc.app.tokenize.data import Explorer
    from mrpc.core.data.load import LoadedData

LABELS = [("both", "both"), ("equivalent", "equivalent"), ("not equivalent", "not_equivalent")]
"""What the choice is called until it is known what the data calls 1 and 0, and how links write it."""

APPS_DATA = [("the data of this app", "")]


def build_data_view(services: Services, spine: Spine) -> None:
    """Build the view.

    Args:
        services: of the app.
        spine: gets the pair that is chosen here.
    """
    place(render("tokenize/about.html", view="data"))
    with field_row(elem_classes="tk-controls"):
        data = gr.Dropdown(
            APPS_DATA,
            value="",
            label="Data",
            allow_custom_value=True,  # what was uploaded is known only later; the handlers check it
            elem_id="inspect-data",
            min_width=200,
        )
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

    asked = {"data": data, "split": split, "label": label, "query": query}
    shown = {"rows": rows, "about": about, "data": data, "label": label}
    View("data", asked | {"start": start}, shown, partial(draw_data, services)).bind()
    bind(
        rows.select,
        partial(on_select, services),
        {"data": data, "split": split},
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


def draw_data(
    services: Services, split: object, label: object, query: object, start: object, data: object = ""
) -> dict[str, object]:
    """Draw some rows, what the split holds, and the code."""
    from mrpc.app.tokenize.data import PAGE_ROWS, marked  # brings numpy and pyarrow along

    explorer = _explorer(services, data)
    wanted = "" if label == "both" else label
    page = explorer.page(split, query, wanted, 0 if start is None else start)
    searched = str(query).strip()
    zero, one = label_words(explorer.data.label_names)
    load = _load_code(explorer.data, is_own=bool(data))
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
            code=snippet(
                "explore",
                split=str(split),
                query=searched,
                label=str(wanted),
                load=load,
                names=explorer.data.label_names,
            ),
        ),
        "data": gr.update(choices=services.own_data.choices() if caller().is_owner else APPS_DATA),
        "label": gr.update(choices=[("both", "both"), (one, "equivalent"), (zero, "not_equivalent")]),
    }


def on_select(
    services: Services, split: object, row: object, start: object, data: object = ""
) -> dict[str, object]:
    """Make a row the current pair, or show other rows; both come from a button in the page."""
    if row is None:
        return {"start": int(start)} if isinstance(start, str) and _is_number(start) else {}
    number = int(row) if isinstance(row, str) and _is_number(row) else row
    pair = _explorer(services, data).row(split, number)
    return {"sentence1": pair.sentence1, "sentence2": pair.sentence2}


def _explorer(services: Services, data: object) -> Explorer:
    """Return what reads a data set: that of the app, or one that the owner uploaded, for the owner alone."""
    from mrpc.app.tokenize.data import Explorer

    if data is None or data == "":
        return services.explorer
    services.access.check(caller(), in_page=True)
    return Explorer(lambda: services.own_data.get(data))


def _load_code(data: LoadedData, is_own: bool) -> str:
    """Write how plain code opens the data that is shown; "" for MRPC."""
    if is_own:
        return f'raw_datasets = load_dataset("parquet", data_dir={str(data.data_dir)!r})'
    if data.kind == "folder" and data.name != "MRPC":
        return "raw_datasets = load_dataset(DATA_DIR)  # the folder of the data, with a file a split"
    return ""


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= 12
