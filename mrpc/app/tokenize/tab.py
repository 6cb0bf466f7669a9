"""The tab: a row of steps, the pair they look at, one view a step, and what happens on a change."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.alerts import shown_errors
from mrpc.app.tokenize.checkpoints_view import COMPARED_KEY, build_checkpoints_view
from mrpc.app.tokenize.explorer_view import build_explorer_view
from mrpc.app.tokenize.link import Linked, choice, read_address, remember_js
from mrpc.app.tokenize.model_view import build_model_view
from mrpc.app.tokenize.padding_view import build_padding_view
from mrpc.app.tokenize.pair_panel import CHECKPOINT_KEY, build_pair_panel
from mrpc.app.tokenize.pair_view import build_pair_view
from mrpc.app.tokenize.single_view import build_single_view
from mrpc.app.tokenize.speed_view import build_speed_view
from mrpc.app.tokenize.step_view import build_step_view
from mrpc.app.tokenize.view import LIVE, View, view_html
from mrpc.errors import MrpcError

if TYPE_CHECKING:
    from mrpc.app.services import Services

STEPS = [
    ("1 Pair", "pair"),
    ("2 One or two", "single"),
    ("3 Checkpoints", "checkpoints"),
    ("4 Data", "data"),
    ("5 Tokenize all", "speed"),
    ("6 Padding", "padding"),
    ("7 Model input", "model"),
    ("8 One step", "step"),
]
PAIR_STEPS = ("pair", "single", "checkpoints")
CHOICES_OF_CHECKPOINTS = (CHECKPOINT_KEY, COMPARED_KEY)
COPY_LINK = (
    '<button type="button" class="copy tk-link" data-tk-link aria-label="Copy a link to this view">'
    "Copy link</button>"
)


def build_tokenize_tab(services: Services) -> None:
    """Build the tab and register its endpoint."""
    with gr.Tab("Tokenize", id="tokenize"):
        with gr.Row(elem_classes="tk-head"):
            steps = gr.Radio(STEPS, value="pair", label="Step", elem_id="tk-steps", container=False)
            view_html(value=COPY_LINK, elem_classes="tk-link-place")
        panel = build_pair_panel(services)
        views = [
            build_pair_view(services),
            build_single_view(services),
            build_checkpoints_view(services),
            build_explorer_view(services, panel, steps),
            build_speed_view(services, panel.checkpoint),
            build_padding_view(services),
            build_model_view(services, panel.checkpoint),
            build_step_view(services, panel.checkpoint),
        ]
        address = gr.Textbox(visible=False)
        _register_endpoint(services)

    links = [
        Linked("step", steps, choice(*(name for _, name in STEPS))),
        *panel.links,
        *(link for view in views for link in view.links),
    ]
    shared = panel.inputs
    everything = [steps, *shared, *(widget for view in views for widget in view.inputs)]
    drawn = [widget for view in views for widget in view.outputs]
    columns = [*panel.groups, *(view.column for view in views)]

    def bind(listener: Any) -> None:
        listener(partial(on_show, views), inputs=everything, outputs=drawn, **LIVE)

    gr.on(
        None,
        partial(on_open, services, links),
        inputs=address,
        outputs=[link.widget for link in links],
        js="() => [window.location.search]",
        **LIVE,
    ).then(on_steps, inputs=steps, outputs=columns, **LIVE).then(
        partial(on_show, views), inputs=everything, outputs=drawn, **LIVE
    ).then(
        partial(on_availability, services),
        outputs=[link.widget for link in links if link.key in CHOICES_OF_CHECKPOINTS],
        **LIVE,
    )
    steps.change(on_steps, inputs=steps, outputs=columns, **LIVE)
    for widget in [steps, *shared]:
        bind(widget.change)
    for view in views:
        for widget in view.inputs if not view.on_demand else ():
            widget.change(view.render, inputs=[*shared, *view.inputs], outputs=view.outputs, **LIVE)
    gr.on(
        [link.widget.change for link in links],
        None,
        inputs=[link.widget for link in links],
        js=remember_js(links),
        api_visibility="private",
        show_progress="hidden",
    )


def on_open(services: Services, links: Sequence[Linked], query: Any) -> list[Any]:
    """Set what the page's address says; the rest stays as it is."""
    found = read_address(query, links)
    labels = {spec.name: spec.label for spec in services.inspection.tokenizers.specs()}
    updates = []
    for link in links:
        value = found.get(link.key)
        if link.key in CHOICES_OF_CHECKPOINTS:
            choices = [(label, name) for name, label in labels.items()]
            is_known = value is not None and set([value] if isinstance(value, str) else value) <= set(labels)
            updates.append(gr.update(choices=choices, **({"value": value} if is_known else {})))
        else:
            updates.append(gr.skip() if value is None else value)
    return updates


def on_steps(step: Any) -> list[Any]:
    """Show the view of a step, and the pair above those that look at it."""
    has_pair = gr.update(visible=step in PAIR_STEPS)
    return [has_pair, has_pair, *(gr.update(visible=step == name) for _, name in STEPS)]


def on_show(views: Sequence[View], step: Any, *values: Any) -> list[Any]:
    """Draw the view of a step anew, and leave the others as they are."""
    shared, rest = values[:3], list(values[3:])
    drawn: list[Any] = []
    for view in views:
        own, rest = rest[: len(view.inputs)], rest[len(view.inputs) :]
        if view.name == step and not view.on_demand:
            drawn += view.render(*shared, *own)
        else:
            drawn += [gr.skip() for _ in view.outputs]
    return drawn


def on_availability(services: Services) -> list[Any]:
    """Offer every checkpoint, and say which cannot be had now."""
    try:
        found = services.checkpoints.availabilities()
    except MrpcError:
        return [gr.skip(), gr.skip()]
    choices = [
        (one.spec.label if one.available else f"{one.spec.label} (not available)", one.spec.name)
        for one in found
    ]
    return [gr.update(choices=choices), gr.update(choices=choices)]


def _register_endpoint(services: Services) -> None:
    def inspect_pair(sentence1: str, sentence2: str, checkpoint: str = "") -> dict[str, Any]:
        """Encode a pair and return its tokens, ids and masks; checkpoint "" is the default."""
        return on_inspect_pair(services, sentence1, sentence2, checkpoint)

    gr.api(inspect_pair, api_name="inspect_pair", concurrency_limit=None)


def on_inspect_pair(services: Services, sentence1: Any, sentence2: Any, checkpoint: Any) -> dict[str, Any]:
    """Answer the endpoint."""
    with shown_errors():
        return services.inspection.inspect_pair(sentence1, sentence2, checkpoint).as_json()
