"""Why both sides answer the pair as they do: below the answers, when asked for, each part as it arrives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.compare.follow import followed
from mrpc.app.compare.frame import ACT, Frame
from mrpc.app.compare.render_sides import render_note
from mrpc.app.compare.widgets import build_chart, build_table, quiet
from mrpc.errors import MrpcError

if TYPE_CHECKING:
    from mrpc.app.services import Services

WORDS_NOTE = quiet(
    "Integrated gradients share out how far the pair’s margin lies from that of an empty pair. A bar above "
    "the line speaks for “equivalent”, a striped one below it against."
)
EFFECTS_NOTE = quiet(
    "A plainer question to the same model: how does the probability of “equivalent” move when this one word "
    "is left out?"
)
ATTENTION_NOTE = quiet("Attention shows where a layer looks, as the mean of its heads. It proves no cause.")
NEAREST_NOTE = quiet(
    "Pairs of train whose vectors, as the right side’s head sees them, lie nearest. The vectors of all "
    "training pairs are computed once for these weights, about a minute on MRPC."
)
DIRECTIONS = [("sentence 1 → 2", "forth"), ("sentence 2 → 1", "back")]


@dataclass(frozen=True)
class ExplainView:
    """The widgets that :func:`on_explain` fills, in the order of its outputs."""

    status: gr.HTML
    parts: gr.Column
    what_if: gr.HTML
    left_words: gr.HTML
    right_words: gr.HTML
    effects: gr.HTML
    layer: gr.Slider
    left_attention: gr.HTML
    right_attention: gr.HTML
    layers: gr.HTML

    def widgets(self) -> list[Any]:
        """Return the widgets as the outputs of a handler."""
        return [getattr(self, field.name) for field in fields(self)]


def build_explain_view(services: Services, frame: Frame, sentences: list[Any], button: gr.Button) -> gr.HTML:
    """Build the view; return the line that says what it is about.

    Args:
        services: what answers.
        frame: names both sides.
        sentences: the boxes of the two sentences.
        button: asks for the explanation.
    """
    status = gr.HTML(elem_id="cmp-explain-status")
    with gr.Column(visible=False, elem_id="cmp-explain") as parts, gr.Tabs(elem_id="cmp-explain-parts"):
        with gr.Tab("What if"):
            what_if = gr.HTML(elem_id="cmp-what-if", apply_default_css=False)
        with gr.Tab("Words"):
            gr.HTML(WORDS_NOTE)
            with gr.Row(elem_classes="cmp-charts"):
                left_words = gr.HTML(elem_id="cmp-left-words", apply_default_css=False)
                right_words = gr.HTML(elem_id="cmp-right-words", apply_default_css=False)
            gr.HTML(f"<h4>Without one word</h4>{EFFECTS_NOTE}")
            effects = build_chart("cmp-effects")
        with gr.Tab("Attention"):
            gr.HTML(ATTENTION_NOTE)
            with gr.Row(elem_classes="cmp-controls"):
                layer = gr.Slider(1, 6, 1, step=1, label="Layer", elem_id="cmp-layer", scale=0, min_width=260)
                direction = gr.Radio(
                    DIRECTIONS,
                    value="forth",
                    label="Direction",
                    elem_id="cmp-direction",
                    scale=0,
                    min_width=280,
                )
            with gr.Row(elem_classes="cmp-charts"):
                left_attention = build_chart("cmp-left-attention")
                right_attention = build_chart("cmp-right-attention")
            layers = build_chart("cmp-layers")
        with gr.Tab("Nearest training pairs"):
            gr.HTML(NEAREST_NOTE)
            with gr.Row(elem_classes="cmp-controls"):
                find = gr.Button("Find them", size="sm", scale=0, elem_id="cmp-nearest-find")
                stop = gr.Button("Cancel", size="sm", scale=0, elem_id="cmp-nearest-stop")
            nearest_status = gr.HTML(elem_id="cmp-nearest-status")
            nearest = build_table("cmp-nearest")
    view = ExplainView(
        status=status,
        parts=parts,
        what_if=what_if,
        left_words=left_words,
        right_words=right_words,
        effects=effects,
        layer=layer,
        left_attention=left_attention,
        right_attention=right_attention,
        layers=layers,
    )
    asked = [*frame.sides(), *sentences]
    button.click(
        partial(on_explain, services),
        inputs=[*asked, direction],
        outputs=view.widgets(),
        **ACT,
        trigger_mode="always_last",
    )
    gr.on(
        [layer.input, direction.input],
        partial(on_layer, services),
        inputs=[*asked, direction, layer],
        outputs=[left_attention, right_attention, layers],
        **{**ACT, "show_progress": "hidden"},
        trigger_mode="always_last",
    )
    finding = find.click(
        partial(on_nearest, services), inputs=asked, outputs=[nearest_status, nearest], **ACT
    )
    stop.click(lambda: "", outputs=nearest_status, cancels=finding, **ACT)
    return status


def on_explain(
    services: Services, left: Any, right: Any, sentence1: Any, sentence2: Any, direction: Any
) -> Iterator[list[Any]]:
    """Fill the view part by part, as each arrives."""
    from mrpc.app.compare import render_explanations as render

    def updates(**changed: Any) -> list[Any]:
        return [changed.get(field.name, gr.skip()) for field in fields(ExplainView)]

    try:
        sides = services.comparison.pair.look_at(left, right, sentence1, sentence2)
        one, other, pair = sides
        yield updates(status=render_note("Looking into both answers …"))
        explanations = services.comparison.explanations
        latencies = explanations.measure_latency(one, pair), explanations.measure_latency(other, pair)
        what_if = render.render_variations(explanations.vary(*sides), one, other, latencies)
        working = render.render_words(None, "left"), render.render_words(None, "right")
        yield updates(
            parts=gr.update(visible=True), what_if=what_if, left_words=working[0], right_words=working[1]
        )
        for on_left, on_right in zip_longest(
            explanations.attribute(one, pair), explanations.attribute(other, pair)
        ):
            if on_left is not None:
                yield updates(left_words=render.render_words(on_left, "left"))
            if on_right is not None:
                yield updates(right_words=render.render_words(on_right, "right"))
        effects = explanations.leave_out(one, pair), explanations.leave_out(other, pair)
        # Not as it is: Gradio sends what changes from one yield to the next, and would empty a bare figure.
        yield updates(effects=gr.update(value=render.effects_figure(*effects)))
        num_layers = max(explanations.num_layers(one), explanations.num_layers(other), 1)
        attention = _attention_figures(services, left, right, sentence1, sentence2, direction, num_layers)
        yield updates(
            status=render_note(f"About: “{pair.sentence1[:80]}” and “{pair.sentence2[:80]}”"),
            layer=gr.update(maximum=num_layers, value=num_layers),
            left_attention=attention[0],
            right_attention=attention[1],
            layers=attention[2],
        )
    except MrpcError as error:
        yield updates(status=render_note(str(error), "bad"))


def on_layer(
    services: Services,
    left: Any,
    right: Any,
    sentence1: Any,
    sentence2: Any,
    direction: Any,
    layer: Any,
) -> list[Any]:
    """Draw the attention of another layer, or in the other direction."""
    try:
        return _attention_figures(services, left, right, sentence1, sentence2, direction, layer)
    except MrpcError:
        return [gr.skip(), gr.skip(), gr.skip()]  # the sentences were emptied; what is shown stays


def _attention_figures(
    services: Services,
    left: Any,
    right: Any,
    sentence1: Any,
    sentence2: Any,
    direction: Any,
    layer: Any,
) -> list[Any]:
    from mrpc.app.compare.render_explanations import attention_figure, layers_figure

    one, other, pair = services.comparison.pair.look_at(left, right, sentence1, sentence2)
    direction = "back" if direction == "back" else "forth"
    found: list[Any] = []
    for side in (one, other):
        num = services.comparison.explanations.num_layers(side)
        known = num and isinstance(layer, int | float) and layer <= num
        found.append(
            services.comparison.explanations.attend(side, pair, layer if known else num) if num else None
        )
    figures = [
        attention_figure(attention, direction, place) if attention is not None else None
        for attention, place in zip(found, ("left", "right"), strict=True)
    ]
    return [*figures, layers_figure(*found)]


def on_nearest(
    services: Services, left: Any, right: Any, sentence1: Any, sentence2: Any
) -> Iterator[list[Any]]:
    """List the training pairs nearest to the pair, in the right side's space."""
    from mrpc.app.compare.render_explanations import neighbours_table

    def work(report: Any, should_stop: Any) -> Any:
        _, other, pair = services.comparison.pair.look_at(left, right, sentence1, sentence2)
        return services.comparison.explanations.find_nearest(other, pair, report, should_stop)

    yield from followed(work, 2, lambda found: [neighbours_table(found)])
