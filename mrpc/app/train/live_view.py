"""The page's courier and the places that it fills: it asks how things go, and sends what is pressed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr
from starlette.responses import Response

from mrpc.app.spine import Spine, run_update
from mrpc.app.templates import render, render_part
from mrpc.app.theme import PLOTLY_URL
from mrpc.app.train.acts import Act, act_on
from mrpc.app.train.live import Live, Part
from mrpc.app.train.overlay import NUM_SLOTS
from mrpc.app.train.start import fill_form
from mrpc.app.train.take_away import TAKEN
from mrpc.app.view import bind
from mrpc.errors import InputError

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.app.train.start_view import Field

COURIER_JS = (
    f"mrpcLive.courier(props, server, watch, trigger, {PLOTLY_URL!r}); /* 'act' 'fill' 'take' 'runs' */"
)


def build_live_place(template: str, elem_id: str) -> gr.HTML:
    """Build a place whose parts the courier fills."""
    return gr.HTML(
        render(template, Part=Part, num_slots=NUM_SLOTS),
        js_on_load="mrpcLive.place(element);",
        elem_id=elem_id,
        apply_default_css=False,
    )


def build_courier(services: Services, live: Live, spine: Spine, form: dict[str, Field]) -> None:
    """Build what asks and takes along; ``form`` has the fields of a new training."""

    def ask(asked: object, request: gr.Request) -> Response:  # a method cannot be marked as a server function
        visitor = services.access.recognise(request).visitor
        return Response(live.answer(asked, visitor), media_type="application/json")

    courier = gr.HTML(
        "",
        html_template="<span hidden></span>",
        js_on_load=COURIER_JS,
        server_functions=[ask],
        elem_id="train-courier",
        apply_default_css=False,
    )
    download = gr.DownloadButton("Download", visible="hidden", elem_id="train-download")
    folder = Path(download.GRADIO_CACHE)

    def on_act(
        run: object, sentence1: object, sentence2: object, act: object, run_id: object, fields: object
    ) -> dict[str, object]:
        sent = {"sentence1": sentence1, "sentence2": sentence2} | (fields if isinstance(fields, dict) else {})
        said = act_on(services, Act(str(act or ""), run_id or run, sent))
        live.forget()
        return {"message": render_part("note", said, "good") if said else ""}

    def on_runs(run: object, run_id: object) -> object:
        live.forget()
        return run_update(services, run_id or run, chosen=run)

    def on_fill(run: object) -> dict[str, object]:
        config = services.store.open(run).config
        said = render_part("note", "The form under Train now has the settings of this run.", "good")
        data = services.own_data.name_of(config.data)
        return {"message": said, "data": data, **fill_form(config.hyperparameters)}

    def on_take(run: object, what: object) -> dict[str, object]:
        if not isinstance(what, str) or what not in TAKEN:
            raise InputError(f"{str(what)[:40]!r} cannot be downloaded.")
        return {"download": str(TAKEN[what](services.store.open(run), folder))}

    one = {"run": spine.run}
    said = {"message": courier}
    acted = bind(
        courier.act,
        on_act,
        {**one, **spine.pair},
        said,
        data=("act", "run_id", "fields"),
        changes=True,
        previews=True,
        trigger_mode="multiple",
    )
    bind(courier.runs, on_runs, one, one, data=("run_id",))
    filled = bind(courier.fill, on_fill, one, {**said, **form})
    taken = bind(courier.take, on_take, one, {**said, "download": download}, data=("what",), queue=True)
    for pressed in (acted, filled, taken):
        pressed.then(None, js="() => mrpcLive.done()", api_visibility="private")
    taken.success(
        None,
        js="() => document.querySelector('#train-download')?.click()",
        api_visibility="private",
    )
    spine.run.change(None, inputs=spine.run, js="(run) => mrpcLive.show(run)", api_visibility="private")
