"""Publishing the run that is looked at: a fold with a name, the card as it would be seen, and a button."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.layout import field_row, fold
from mrpc.app.spine import Spine
from mrpc.app.templates import render, render_part
from mrpc.app.view import View, bind, place, stage

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.app.task import Task

INTRO = (
    "Upload the best model of a finished run to the Hugging Face Hub, with a card that says how good it is, "
    "what it cannot do, and how to train it again. The token is the one of the machine that this app runs "
    "on: HF_TOKEN, or what hf auth login stored there. It is never asked for here."
)


def build_publish_fold(services: Services, spine: Spine) -> None:
    """Build the fold."""
    with fold("Publish to the Hub", "publish-fold"):
        place(render_part("quiet", INTRO, "publish.md", "More on cards and the Hub"))
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

    def on_draw(run: object) -> dict[str, object]:
        return {"publish": _said_first(services, run), "card": "", "go": gr.update(interactive=False)}

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

    one = {"run": spine.run}
    View("publish", one, outputs, on_draw).bind()
    asked = {**one, "repo": repo, "with_test": with_test}
    bind(look.click, on_look, asked, outputs, tasks=services.tasks, changes=True)
    bind(
        go.click,
        on_go,
        {**one, "repo": repo, "private": private},
        outputs,
        tasks=services.tasks,
        changes=True,
    )


def _said_first(services: Services, run_id: object) -> str:
    """Say whether a run can be published.

    Raises:
        UnknownRunError: there is no such run.
    """
    if not run_id:
        return render_part("quiet", "Start or pick a run to publish.")
    if not services.store.open(run_id).has_weights():
        return render_part("quiet", "This run has no fine-tuned model yet.")
    return render_part("quiet", "Write a name and look at the card: then it can be published.")
