"""The bar above the tabs: the current pair and the current run, which all tabs look at.

Typed or picked once, a pair is tokenized, watched during a training, and compared; a run is watched and
compared. Both stand in the page's address, so a reload, or a link, shows the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.access import Standing
from mrpc.app.format import run_choices
from mrpc.app.guides import read_paths
from mrpc.app.inputs import Linked, text
from mrpc.app.templates import render
from mrpc.app.visitors import MAX_MINUTES, MAX_PAIRS
from mrpc.app.widgets import field_row, place

if TYPE_CHECKING:
    from gradio.components import Component

    from mrpc.app.services import Services

COURSE_SENTENCES = ("This is the first sentence.", "This is the second one.")
MAX_LINK_CHARS = 2_000
LOADING_LINE = "Data: looking for it …"


@dataclass(frozen=True)
class Spine:
    """The components of the bar, and what else of the page stands in its address.

    Attributes:
        head: the page's name and the data in use.
        courier: brings what the browser knows, and shows nothing.
        sentence1: the first sentence of the current pair.
        sentence2: the second one.
        run: the id of the current run; "" where there is none.
        links: components whose values stand in the address; a view adds its own while it is built.
    """

    head: gr.HTML
    courier: gr.HTML
    sentence1: gr.Textbox
    sentence2: gr.Textbox
    run: gr.Dropdown
    links: list[Linked] = field(default_factory=list)

    @property
    def pair(self) -> dict[str, Component]:
        """The current pair as inputs of a view, by name."""
        return {"sentence1": self.sentence1, "sentence2": self.sentence2}


def build_spine(services: Services) -> Spine:
    """Build the bar; it is filled when the page has loaded."""

    def cancel_task(task_id: str) -> None:  # a method cannot be marked as a server function
        services.tasks.cancel(task_id)

    head = place(render_head(LOADING_LINE, Standing()), elem_id="masthead")
    place(render("templates/paths.html", paths=read_paths()), elem_id="paths")
    courier = gr.HTML(
        html_template="<span hidden></span>",
        js_on_load="mrpc.courier(server);",
        server_functions=[cancel_task],
        elem_id="page-courier",
        apply_default_css=False,
    )
    with field_row("spine", equal_height=True):
        sentence1 = gr.Textbox(
            COURSE_SENTENCES[0], label="Sentence 1", lines=1, max_lines=3, elem_id="sentence1", min_width=240
        )
        sentence2 = gr.Textbox(
            COURSE_SENTENCES[1], label="Sentence 2", lines=1, max_lines=3, elem_id="sentence2", min_width=240
        )
        # Each page has its own list, so any text may come: whoever looks for the run checks it.
        run = gr.Dropdown([], value=None, label="Run", elem_id="run", allow_custom_value=True, min_width=240)
    spine = Spine(head, courier, sentence1, sentence2, run)
    spine.links.extend(
        [
            Linked("s1", sentence1, text(MAX_LINK_CHARS)),
            Linked("s2", sentence2, text(MAX_LINK_CHARS)),
            Linked("run", run, text(100)),
        ]
    )
    return spine


def render_head(data_line: str, standing: Standing) -> str:
    """Draw the head of the page: its name, the data in use, and what whoever looks at it may do."""
    limits = {"max_pairs": MAX_PAIRS, "max_minutes": round(MAX_MINUTES)}
    return render("templates/head.html", data_line=data_line, standing=standing, **limits)


def run_update(services: Services, run_id: object, chosen: object = None) -> object:
    """Return an update of the bar's list of runs.

    Args:
        services: whose runs.
        run_id: the run to show, untrusted; where there is none of this id, the living one, else the newest.
        chosen: what the list shows already. If that is the run to show, only the list is renewed: a run that
            was chosen while this answer was on its way stays chosen.
    """
    runs = services.store.list()
    ids = [run.run_id for run in runs]
    if run_id not in ids:
        holder = services.store.holder()
        run_id = holder.run_id if holder is not None else ids[0] if ids else None
    if run_id == chosen:
        return gr.update(choices=run_choices(runs))
    return gr.update(choices=run_choices(runs), value=run_id)
