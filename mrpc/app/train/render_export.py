"""The code of a run to look at, to copy and to download: text to HTML."""

from __future__ import annotations

import base64
import html
import json

from mrpc.app.code import coloured
from mrpc.app.templates import render_part

MIME_TYPES = {".py": "text/x-python", ".ipynb": "application/x-ipynb+json"}

HUB = "With the Hub"
NO_HUB = "Where there is no Hub, DIR being folders of yours"
SEVERAL = "On several GPUs, each with batches of its own, after accelerate config has asked about them"
SCRIPT = {"python train.py": HUB, "python train.py --checkpoint DIR --data-dir DIR": NO_HUB}
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


def render_export(code: str, form: str, file_name: str) -> str:
    """Draw the code of a run with how to start it and a link that downloads it.

    Args:
        code: a script, or a notebook's JSON.
        form: which of the forms it is.
        file_name: what to call the file.
    """
    suffix = "." + file_name.rpartition(".")[2]
    content = base64.b64encode(code.encode()).decode()
    link = (
        f'<a class="export-link" download="{html.escape(file_name)}" '
        f'href="data:{MIME_TYPES[suffix]};base64,{content}">Download {html.escape(file_name)}</a>'
    )
    commands = "".join(
        f"<div><dt>{html.escape(when)}</dt><dd>{render_part('snippet', command, 'command')}</dd></div>"
        for command, when in COMMANDS[form].items()
    )
    shown = render_part("snippet", coloured(_cells_as_text(code) if suffix == ".ipynb" else code), file_name)
    return f'<div class="export">{link}<dl class="export-commands">{commands}</dl>{shown}</div>'


def _cells_as_text(notebook: str) -> str:
    """Return the code cells of a notebook, one below the other."""
    cells = json.loads(notebook)["cells"]
    return "\n\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
