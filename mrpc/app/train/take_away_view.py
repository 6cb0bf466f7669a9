"""What a run gives to others, a fold each: its code, its model as ONNX, and its place on the Hub."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.spine import Spine
from mrpc.app.templates import render, render_macro, render_part
from mrpc.app.train.export import CODE_FORMS, export_code
from mrpc.app.train.take_away import can_export, export_in_process
from mrpc.app.view import View, bind
from mrpc.app.widgets import field_row, fold, place, stage
from mrpc.publish.onnx import FILES, INSTALL, read_export

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.app.task import Task

INTROS = "train/take_away.html"


def build_take_away(services: Services, spine: Spine) -> None:
    """Build the folds."""
    _build_code_fold(services, spine)
    _build_onnx_fold(services, spine)
    _build_publish_fold(services, spine)


def _build_code_fold(services: Services, spine: Spine) -> None:
    with fold("Get the code of this run", "export-fold"):
        place(render_macro(INTROS, "code"))
        forms = [(label, name) for name, label in CODE_FORMS.items()]
        form = gr.Radio(forms, value="accelerate", label="Form", elem_id="export-form")
        shown = stage("code", elem_id="export-code")
        place(render_macro(INTROS, "agents"))

    def draw(run: object, form: object) -> str:
        if not run:
            return render_part("quiet", "Start or pick a run: its code will stand here.")
        code = export_code(services.store.open(run), form)
        shown = _cells_as_text(code) if form == "notebook" else code
        return render(
            "train/code.html", form=form, code=shown, content=base64.b64encode(code.encode()).decode()
        )

    View("code", {"run": spine.run, "form": form}, {"code": shown}, draw).bind()


def _cells_as_text(notebook: str) -> str:
    """Return the code cells of a notebook, one below the other."""
    cells = json.loads(notebook)["cells"]
    return "\n\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def _build_onnx_fold(services: Services, spine: Spine) -> None:
    with fold("Use this model without PyTorch: ONNX", "onnx-fold"):
        shown = stage("onnx", intro=render_macro(INTROS, "onnx"))
        with field_row("onnx-buttons"):
            export = gr.Button("Export to ONNX", variant="primary", elem_id="onnx-export", min_width=180)

    def draw(run: object) -> str:
        if not run:
            return render_part("quiet", "Start or pick a run: what was exported of it will stand here.")
        opened = services.store.open(run)
        return render(
            "train/onnx.html",
            run_id=opened.run_id,
            has_weights=opened.has_weights(),
            export=read_export(opened),
            files=FILES,
            can_export=can_export(),
            install=INSTALL,
        )

    def on_export(run: object, task: Task) -> str:
        export_in_process(services.store.open(run), task)
        return draw(run)

    one = {"run": spine.run}
    View("onnx", one, {"onnx": shown}, draw).bind()
    bind(export.click, on_export, one, {"onnx": shown}, tasks=services.tasks, changes=True)


def _build_publish_fold(services: Services, spine: Spine) -> None:
    with fold("Publish to the Hub", "publish-fold"):
        place(render_macro(INTROS, "publish"))
        with field_row(equal_height=True):
            repo = gr.Textbox(
                label="Repository", placeholder="owner/name", max_length=200, elem_id="publish-repo"
            )
            private = gr.Checkbox(True, label="Private: only its owner sees it", elem_id="publish-private")
        with_test = gr.Checkbox(
            False,
            label="Predict test first, if that was not done",
            info="Then the card has scores on test, too: half a minute on two cores. Look at test once, when "
            "everything else is decided.",
            elem_id="publish-test",
        )
        with field_row("publish-buttons"):
            look = gr.Button("Show the card", elem_id="publish-look", min_width=180)
            go = gr.Button(
                "Publish", variant="primary", interactive=False, elem_id="publish-go", min_width=180
            )
        shown = stage("publish")
        card = gr.Markdown(elem_id="publish-card", latex_delimiters=[])
    outputs = {"publish": shown, "card": card, "go": go}

    def draw(run: object) -> dict[str, object]:
        if not run:
            said = "Start or pick a run to publish."
        elif not services.store.open(run).has_weights():
            said = "This run has no fine-tuned model yet."
        else:
            said = "Write a name and look at the card: then it can be published."
        return {"publish": render_part("quiet", said), "card": "", "go": gr.update(interactive=False)}

    def on_look(run: object, repo: object, with_test: object, task: Task) -> dict[str, object]:
        written = services.publishing.card(run, repo, task.progress, predicts_test=with_test is True)
        scored = {result.dataset_split for result in written.data.get("eval_results") or []}
        head = written.data.to_yaml()
        return {
            "publish": render("train/publish.html", head=head, repo=repo, has_test="test" in scored),
            "card": written.text,
            "go": gr.update(interactive=True),
        }

    def on_go(run: object, repo: object, private: object, task: Task) -> dict[str, object]:
        # Whatever else a browser sends for the box, it is private.
        url = services.publishing.publish(run, repo, private is not False, task.progress)
        return {"publish": render("train/published.html", url=url, is_private=private is not False)}

    one = {"run": spine.run, "repo": repo}
    View("publish", {"run": spine.run}, outputs, draw).bind()
    for press, handler, asked in (
        (look.click, on_look, {**one, "with_test": with_test}),
        (go.click, on_go, {**one, "private": private}),
    ):
        bind(press, handler, asked, outputs, tasks=services.tasks, changes=True)
