"""What a training is done on: the choice among data sets, the upload of one's own, and how it was read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.layout import field_row
from mrpc.app.templates import render, render_part
from mrpc.app.view import View, bind, place, stage
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


@dataclass(frozen=True)
class DataChoice:
    """The widgets.

    Attributes:
        choice: the name of the data set; "" for that of the app.
        report: how it was read.
    """

    choice: gr.Dropdown
    report: gr.HTML


def build_data_choice() -> DataChoice:
    """Build the choice, and the place of the report."""
    choice = gr.Dropdown(
        choices=[("the data of this app", "")],
        value="",
        label="Data",
        info="Yours: choose a file below, in the group Data.",
        allow_custom_value=True,  # what was kept is known only later; the handlers check it
        elem_id="data-choice",
    )
    return DataChoice(choice, stage("data-report", elem_id="train-data-report"))


def build_upload(services: Services, data: DataChoice) -> None:
    """Build the upload of one's own data."""
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
    bind(events, bring, inputs, {"message": message, "data": data.choice}, changes=True)


def bind_data_report(services: Services, data: DataChoice) -> None:
    """Show how the chosen data was read, before anything starts."""

    def draw(data: object) -> dict[str, object]:
        html = report_html(services.own_data.get(data), is_own=bool(data))
        return {"report": html, "data": gr.update(choices=services.own_data.choices())}

    one = {"data": data.choice}
    View("data-report", one, {"report": data.report, **one}, draw).bind()


def report_html(data: LoadedData, is_own: bool) -> str:
    """Show how a data set was read, with its first rows; ``is_own`` if somebody brought it."""
    from mrpc.core.data.load import preview  # brings datasets along

    return render("train/own_data.html", data=data, is_own=is_own, rows=preview(data.dataset, PREVIEW_ROWS))
