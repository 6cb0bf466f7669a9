"""What a training is done on: the choice among data sets, the upload of one's own, and how it was read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.templates import render, render_part
from mrpc.app.view import View, bind
from mrpc.app.widgets import field_row, place, stage
from mrpc.core.data.pairs import SUFFIXES

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.core.data.load import LoadedData

PREVIEW_ROWS = 3
"""Of each split."""

UPLOAD_NOTE = (
    "Two columns of sentences and one of labels: .csv, .tsv, .jsonl, .json or .parquet, also .gz, up to "
    "20,000 pairs and 10 MB a file. One file, or one for each split: train, validation, test."
)
COLUMNS_HELP = (
    "Only if they are not recognised: the names of both sentence columns and of the label, with commas."
)


def build_data_choice(services: Services) -> gr.Dropdown:
    """Build the choice among data sets, by name, and show how the chosen one was read; "" is the app's."""
    choice = gr.Dropdown(
        choices=[("the data of this app", "")],
        value="",
        label="Data",
        info="Yours: choose a file below, in the group Data.",
        allow_custom_value=True,  # what was kept is known only later; the handlers check it
        elem_id="data-choice",
    )
    report = stage("data-report", elem_id="train-data-report")

    def draw(data: object) -> dict[str, object]:
        html = report_html(services.own_data.get(data), is_own=bool(data))
        return {"report": html, "data": gr.update(choices=services.own_data.choices())}

    one = {"data": choice}
    View("data-report", one, {"report": report, **one}, draw).bind()
    return choice


def build_upload(services: Services, choice: gr.Dropdown) -> None:
    """Build the upload of one's own data, which is then the chosen one."""
    file = gr.File(
        label="Your data",
        file_count="multiple",
        file_types=[*SUFFIXES[:-1], ".gz"],
        type="filepath",
        elem_id="data-file",
        height=140,
    )
    place(render_part("quiet", UPLOAD_NOTE, "data.md", "All rules and limits"))
    with field_row(equal_height=False):
        columns = gr.Textbox(
            label="Columns", info=COLUMNS_HELP, max_lines=1, elem_id="data-columns", min_width=200
        )
        read = gr.Button("Read again", elem_id="data-read", scale=0, min_width=140)
    message = place(elem_id="data-message")

    def bring(files: object, columns: object) -> Iterator[dict[str, object]]:
        yield {"message": render_part("loading", "Reading …")}
        name = services.own_data.keep(files, columns)
        yield {"message": "", "data": gr.update(value=name, choices=services.own_data.choices())}

    inputs = {"files": file, "columns": columns}
    events = [file.upload, columns.submit, read.click]
    bind(events, bring, inputs, {"message": message, "data": choice}, changes=True)


def report_html(data: LoadedData, is_own: bool) -> str:
    """Show how a data set was read, with its first rows; ``is_own`` if somebody brought it."""
    from mrpc.core.data.load import preview  # brings datasets along

    return render("train/own_data.html", data=data, is_own=is_own, rows=preview(data.dataset, PREVIEW_ROWS))
