"""The code of the run that is looked at: a fold that is filled while it is open."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.layout import fold
from mrpc.app.spine import Spine
from mrpc.app.templates import render, render_part
from mrpc.app.train.export import FORMS, export_code
from mrpc.app.view import View, place, stage

if TYPE_CHECKING:
    from mrpc.app.services import Services

INTRO = (
    "What this run did, with plain libraries (torch, transformers, datasets, evaluate, accelerate) and "
    "nothing of this app: run it here, on another machine or in a notebook. With the course preset it gives "
    "the run's own losses and scores, the Trainer form those of a run of the loop trainer."
)
AGENTS = "An agent can start and watch runs of this app by itself, where it is served with --mcp."
MIME_TYPES = {".py": "text/x-python", ".ipynb": "application/x-ipynb+json"}
HUB = "With the Hub"
NO_HUB = "Where there is no Hub, DIR being folders of yours"
SEVERAL = "On several GPUs, each with batches of its own, after accelerate config has asked about them"
WITH_UV = "With nothing installed but uv, which reads the versions of this run from the file"
SCRIPT = {
    "python train.py": HUB,
    "python train.py --checkpoint DIR --data-dir DIR": NO_HUB,
    "uv run train.py": WITH_UV,
}
COMMANDS = {
    "accelerate": {**SCRIPT, "accelerate launch train.py": SEVERAL},
    "pytorch": SCRIPT,
    "trainer": {**SCRIPT, "accelerate launch train.py": SEVERAL},
    "notebook": {
        "jupyter lab train.ipynb": HUB,
        "CHECKPOINT=DIR DATA_DIR=DIR jupyter lab train.ipynb": NO_HUB,
    },
}
"""How each form is started, and when so."""


def build_code_fold(services: Services, spine: Spine) -> None:
    """Build the fold."""
    with fold("Get the code of this run", "export-fold"):
        place(render_part("quiet", INTRO))
        forms = [(label, name) for name, label in FORMS.items()]
        form = gr.Radio(forms, value="accelerate", label="Form", elem_id="export-form")
        shown = stage("code", elem_id="export-code")
        place(render_part("quiet", AGENTS, "agents.md", "Tools for an agent"))

    def draw(run: object, form: object) -> str:
        return code_html(services, run, form)

    View("code", {"run": spine.run, "form": form}, {"code": shown}, draw).bind()


def code_html(services: Services, run_id: object, form: object) -> str:
    """Show the code of a run in one of its forms.

    Raises:
        InputError: there is no such run or form.
    """
    if not run_id:
        return render_part("quiet", "Start or pick a run: its code will stand here.")
    code = export_code(services.store.open(run_id), form)
    suffix = ".ipynb" if form == "notebook" else ".py"
    return render(
        "train/code.html",
        code=_cells_as_text(code) if suffix == ".ipynb" else code,
        content=base64.b64encode(code.encode()).decode(),
        commands=COMMANDS[str(form)],
        file_name=f"train{suffix}",
        mime_type=MIME_TYPES[suffix],
    )


def _cells_as_text(notebook: str) -> str:
    """Return the code cells of a notebook, one below the other."""
    cells = json.loads(notebook)["cells"]
    return "\n\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
