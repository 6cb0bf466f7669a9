"""The form of a new training: preset cards, Start, the data and their upload, the settings in four groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, get_args

import gradio as gr

from mrpc.app.spine import Spine, run_update
from mrpc.app.templates import render, render_part
from mrpc.app.train.start import (
    DEFAULT_PRESET,
    FILLED,
    GROUPS,
    LABELS,
    checkpoint_changes,
    describe_checkpoints,
    field_id,
    group_id,
    help_text,
    is_preset,
    label_text,
    make_plan,
    plain_cards,
    preset_cards,
    preset_values,
    read_form,
)
from mrpc.app.view import View, bind
from mrpc.app.widgets import field_row, fold, place, stage
from mrpc.config import DEFAULT_CHECKPOINT, PRESET_HELP, TrainConfig
from mrpc.core.data.pairs import SUFFIXES
from mrpc.errors import InputError, MrpcError

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.core.data.load import LoadedData

Field = gr.Radio | gr.Dropdown | gr.Number | gr.Textbox | gr.Checkbox

START_LABEL = "Start training"
TIMES_NOTE = "Times are for this machine and the checkpoint below, with nothing else running."

PREVIEW_ROWS = 3
"""Of each split."""

UPLOAD_NOTE = (
    "Two columns of sentences and one of labels: .csv, .tsv, .jsonl, .json or .parquet, also .gz, up to "
    "20,000 pairs and 10 MB a file. One file, or one for each split: train, validation, test."
)
COLUMNS_HELP = (
    "Only if they are not recognised: the names of both sentence columns and of the label, with commas."
)


def build_start_form(services: Services, spine: Spine) -> dict[str, Field]:
    """Build the form, attach its handlers, and return its fields by the name of the setting, and "data"."""
    fields: dict[str, Field] = {}
    first = "quick" if services.access.trains_visitors else DEFAULT_PRESET
    fields["preset"] = gr.Radio(
        choices=plain_cards(),
        value=first,
        label=LABELS["preset"],
        elem_id="train-preset",
        elem_classes="preset-cards",
    )
    with field_row("train-buttons"):
        start = gr.Button(START_LABEL, variant="primary", elem_id="train-start", min_width=120)
        queue = gr.Button("Add to queue", elem_id="train-queue", min_width=120)
    follow = gr.Checkbox(
        value=True, label="Follow the current pair during training", elem_id="train-follow", container=False
    )
    message = place(elem_id="train-message")
    presets = stage("presets", elem_id="train-presets")
    plan = stage("plan", elem_id="train-plan")
    data = _build_data_choice(services)
    fields["checkpoint"] = gr.Dropdown(
        choices=[DEFAULT_CHECKPOINT],
        value=DEFAULT_CHECKPOINT,
        label=LABELS["checkpoint"],
        filterable=False,
        elem_id="train-checkpoint",
    )
    note = stage("checkpoint", elem_id="train-checkpoint-note")
    shown = preset_values(first)
    for group, names in GROUPS.items():
        with fold(group, group_id(group), elem_classes="settings"):
            if group == "Data":
                _build_upload(services, data)
            for name in names:
                fields[name] = _widget(name, shown[name])
    _bind_presets(services, fields, data, note, presets)
    ids = {name: field_id(name) for name in fields}
    groups = {name: group_id(group) for group, names in GROUPS.items() for name in names}

    def draw_plan(data: object, **values: object) -> str:
        preset = values["preset"]
        preset_help = PRESET_HELP[preset] if is_preset(preset) else ""
        plan = make_plan(services, values, data)
        return render("train/plan.html", plan=plan, ids=ids, groups=groups, preset_help=preset_help)

    form = {**fields, "data": data}
    View("plan", form, {"plan": plan}, draw_plan).bind()

    def start_run(
        follow: object, sentence1: object, sentence2: object, data: object, **values: object
    ) -> Iterator[dict[str, object]]:
        yield {"start": gr.update(value="Starting …", interactive=False), "message": ""}
        button = gr.update(value=START_LABEL, interactive=True)
        try:
            run_id = services.launcher.start(read_form(values), services.own_data.ref(data))
        except MrpcError as error:
            yield {"start": button, "message": render_part("alert", str(error))}
            return
        said = _follow(services, run_id, sentence1, sentence2) if follow is True else ""
        yield {"start": button, "message": said, "run": run_update(services, run_id)}

    def queue_run(
        follow: object, sentence1: object, sentence2: object, data: object, **values: object
    ) -> dict[str, object]:
        run_id = services.launcher.add_to_queue(read_form(values), services.own_data.ref(data))
        said = _follow(services, run_id, sentence1, sentence2) if follow is True else ""
        num = len(services.launcher.queue.read())
        when = (
            "It starts as soon as nothing trains." if num == 1 else f"It is number {num} of those that wait."
        )
        return {"message": render_part("note", f"Added to the queue. {when}", "good") + said}

    inputs = {**form, "follow": follow, **spine.pair}
    outputs = {"start": start, "message": message, "run": spine.run}
    for button, run in ((start, start_run), (queue, queue_run)):
        bind(button.click, run, inputs, outputs, changes=True, previews=True).then(
            None, js="() => mrpcLive.ask()", api_visibility="private"
        )
    return form


def _bind_presets(
    services: Services, fields: dict[str, Field], data: gr.Dropdown, note: gr.HTML, presets: gr.HTML
) -> None:
    """Fill in what a preset and a checkpoint hold, and say what they cost."""
    filled = {name: fields[name] for name in FILLED}

    def on_preset(preset: object, checkpoint: object) -> dict[str, object]:
        if not is_preset(preset) or not isinstance(checkpoint, str) or not checkpoint:
            return {}
        return preset_values(preset, checkpoint)

    def on_checkpoint(preset: object, checkpoint: object, **values: object) -> dict[str, object]:
        if not is_preset(preset) or not isinstance(checkpoint, str) or not checkpoint:
            return {}
        return checkpoint_changes(preset, checkpoint, values)

    chosen = {"preset": fields["preset"], "checkpoint": fields["checkpoint"]}
    bind(fields["preset"].input, on_preset, chosen, filled)
    bind(fields["checkpoint"].input, on_checkpoint, {**chosen, **filled}, filled)

    def draw_checkpoint(checkpoint: object) -> dict[str, object]:
        html, choices = describe_checkpoints(services, checkpoint)
        return {"note": html, "checkpoint": gr.update(choices=choices)}

    def draw_presets(checkpoint: object, data: object) -> dict[str, object]:
        cards = preset_cards(services, checkpoint, data)
        return {"presets": render_part("quiet", TIMES_NOTE), "preset": gr.update(choices=cards)}

    one = {"checkpoint": fields["checkpoint"]}
    View("checkpoint", one, {"note": note, **one}, draw_checkpoint).bind()
    both = {**one, "data": data}
    View("presets", both, {"presets": presets, "preset": fields["preset"]}, draw_presets).bind()


def _follow(services: Services, run_id: str, sentence1: object, sentence2: object) -> str:
    """Pin the current pair to a run; return what there is to say of it."""
    if not isinstance(sentence1, str) or not isinstance(sentence2, str):
        raise InputError("A pair has two sentences.")
    try:
        services.store.open(run_id).pin_pairs([(sentence1.strip(), sentence2.strip())])
    except MrpcError as error:
        return render_part("note", f"The current pair is not followed: {error}", "warn")
    return ""


def _widget(name: str, value: object) -> Field:
    field = TrainConfig.model_fields[name]
    common: dict[str, Any] = {
        "value": value,
        "label": label_text(name),
        "info": help_text(name),
        "elem_id": field_id(name),
        "min_width": 120,
    }
    choices = get_args(field.annotation)
    if choices:
        named = [(str(choice).replace("_", " and "), choice) for choice in choices]
        return gr.Dropdown(choices=named, filterable=False, **common)
    if field.annotation is bool:
        return gr.Checkbox(**common)
    if field.annotation is float:  # as text, so that 5e-5 reads as people write it
        return gr.Textbox(max_lines=1, **common)
    return gr.Number(**common)


def _build_data_choice(services: Services) -> gr.Dropdown:
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


def _build_upload(services: Services, choice: gr.Dropdown) -> None:
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
