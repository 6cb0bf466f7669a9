"""The code of the run that the page looks at, and the endpoint that gives it to scripts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.alerts import render_alert, shown_errors
from mrpc.app.train.folds import run_of_open_fold
from mrpc.app.train.render_export import render_export
from mrpc.errors import InputError

if TYPE_CHECKING:
    from mrpc.app.services import Services

FORMS = [
    ("Accelerate", "accelerate"),
    ("Plain PyTorch", "pytorch"),
    ("Trainer", "trainer"),
    ("Notebook", "notebook"),
]
INTRO = (
    "<p>What this run did, with plain libraries (torch, transformers, datasets, evaluate, accelerate) and "
    "nothing of this app: run it here, on another machine or in a notebook. With the course preset it gives "
    "the run's own losses and scores, the Trainer form those of a run of the loop <code>trainer</code>.</p>"
)
NO_RUN = '<p class="quiet">Start or pick a run: its code will stand here.</p>'


def build_export_view(services: Services, run_id: gr.BrowserState) -> None:
    """Build the fold; it is filled when it is opened, and when another run or form is picked.

    Args:
        services: what the handlers call.
        run_id: which run the page looks at.
    """
    with gr.Accordion("Get the code of this run", open=False, elem_id="export-fold") as fold:
        gr.HTML(INTRO, apply_default_css=False)
        form = gr.Radio(FORMS, value="accelerate", label="Form", elem_id="export-form")
        code = gr.HTML(NO_RUN, elem_id="export-code", apply_default_css=False)
    show: dict[str, Any] = {
        "fn": partial(on_show_code, services),
        "inputs": [run_id, form],
        "outputs": code,
        "api_visibility": "private",
        "show_progress": "hidden",
        "concurrency_limit": 8,
    }
    gr.on([fold.expand, form.change], **show)
    run_id.change(**show, js=run_of_open_fold("export-fold"))

    def export_code(run_id: str, form: str) -> dict[str, Any]:
        """Return the code of a run; form is accelerate, pytorch, trainer (train.py) or notebook (.ipynb)."""
        return on_export_code(services, run_id, form)

    gr.api(export_code, api_name="export_code", concurrency_limit=None)


def on_show_code(services: Services, run_id: Any, form: Any) -> Any:
    """Show the code of a run."""
    if run_id is False:
        return gr.skip()
    if not run_id:
        return NO_RUN
    try:
        code = services.code_export.export_code(run_id, form)
    except InputError as error:
        return render_alert(str(error))
    return render_export(code, form, services.code_export.file_name(form))


def on_export_code(services: Services, run_id: Any, form: Any) -> dict[str, Any]:
    """Return the code of a run."""
    with shown_errors():
        return {"code": services.code_export.export_code(run_id, form)}
