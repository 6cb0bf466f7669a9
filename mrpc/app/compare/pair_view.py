"""One pair: what both sides say to the current pair while it is typed, pairs to look at, and why they say so.

The reasons stand in folded sections, each drawn when it is opened.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import gradio as gr

from mrpc.app.spine import COURSE_SENTENCES
from mrpc.app.templates import render, render_macro, render_part
from mrpc.app.view import View, bind
from mrpc.app.widgets import chart, charts, field_row, fold, place, stage, table

if TYPE_CHECKING:
    from gradio.components import Component

    from mrpc.app.compare.answers import PairAnswer
    from mrpc.app.compare.explaining import SideAttribution, Variation
    from mrpc.app.compare.sides import Both, Side
    from mrpc.app.compare.sides_view import SidesRow
    from mrpc.app.services import Services
    from mrpc.app.spine import Spine
    from mrpc.app.task import Task
    from mrpc.core.analysis.attribution import Attention

NUM_PROPOSED = 6
MAX_LAYERS, MAX_HEADS = 24, 16
ALL_HEADS = 0

ROUGH_ERROR = 0.05
"""What attributions may miss while a training goes first: 0.3 s of a core for a side instead of 0.55."""

DIRECTIONS = [("sentence 1 → 2", "forth"), ("sentence 2 → 1", "back")]


def build_pair_view(services: Services, spine: Spine, row: SidesRow) -> None:
    """Build the view."""
    answers = stage("compare-answers")
    View(
        "compare-answers",
        row.sides | spine.pair,
        {"stage": answers},
        partial(draw_answers, services),
    ).bind()
    proposals = stage("compare-proposals")
    View(
        "compare-proposals",
        row.sides,
        {"stage": proposals},
        partial(draw_proposals, services),
    ).bind()
    bind(
        proposals.select,
        partial(open_pair, services),
        row.sides | spine.pair,
        spine.pair,
        data=("id",),
    )
    _build_explanations(services, spine, row)


def _build_explanations(services: Services, spine: Spine, row: SidesRow) -> None:
    asked = row.sides | spine.pair
    with fold("Which words count", "cmp-words-section"):
        words = stage("compare-words")
        effects = chart("cmp-effects")
    View(
        "compare-words",
        asked,
        {"stage": words, "effects": effects},
        partial(draw_words, services),
        tasks=services.tasks,
    ).bind()
    with fold("What small changes do", "cmp-what-if-section"):
        what_if = stage("compare-what-if")
    View("compare-what-if", asked, {"stage": what_if}, partial(draw_what_if, services)).bind()
    with fold("Where it looks: attention", "cmp-attention-section"):
        _build_attention(services, asked)
    with fold("Nearest training pairs", "cmp-nearest-section"):
        place(render("compare/about.html", view="nearest"))
        find = gr.Button("Find them", size="sm", scale=0, elem_id="cmp-nearest-find")
        nearest = stage("compare-nearest", follows=False)
        pairs = table("cmp-nearest")
    View(
        "compare-nearest",
        asked,
        {"stage": nearest, "pairs": pairs},
        partial(draw_nearest, services),
        tasks=services.tasks,
        on_demand=find,
    ).bind()


def _build_attention(services: Services, asked: dict[str, Component]) -> None:
    place(render("compare/about.html", view="attention"))
    with field_row(elem_classes="cmp-controls"):
        layer = gr.Slider(
            1,
            MAX_LAYERS,
            MAX_LAYERS,
            step=1,
            label="Layer",
            elem_id="cmp-layer",
            min_width=240,
        )
        head = gr.Slider(
            ALL_HEADS,
            MAX_HEADS,
            ALL_HEADS,
            step=1,
            label="Head (0: mean of all)",
            elem_id="cmp-head",
            min_width=240,
        )
        direction = gr.Radio(
            DIRECTIONS, value="forth", label="Direction", elem_id="cmp-direction", min_width=280
        )
    drawn = stage("compare-attention")
    maps = charts("cmp-attention", "cmp-first-attention", "cmp-second-attention")
    heads = charts("cmp-heads", "cmp-first-heads", "cmp-second-heads")
    layers = chart("cmp-layers")
    View(
        "compare-attention",
        asked | {"layer": layer, "head": head, "direction": direction},
        {
            "stage": drawn,
            "maps": maps,
            "heads": heads,
            "layers": layers,
            "layer": layer,
            "head": head,
        },
        partial(draw_attention, services),
    ).bind()
    bind(heads.select, choose_head, {}, {"layer": layer, "head": head}, data=("id",))


def draw_answers(services: Services, **asked: object) -> str:
    """Draw what both sides say."""
    comparisons = services.comparisons
    sides, pair = comparisons.look_at(**asked)
    answers = sides.map(lambda side: comparisons.answers.ask_one(side, pair))
    return render_answers(answers, comparisons.shelf.label(sides, pair), sides.map(comparisons.one_answer))


def render_answers(answers: Both[PairAnswer], label: int | None, only_answers: Both[int | None]) -> str:
    """Draw both answers beside each other, and what the corpus says if it is known.

    Args:
        answers: of both sides.
        label: 1 if the corpus calls the pair equivalent.
        only_answers: the label that a side gives to all pairs of validation.
    """
    from mrpc.app.compare.scores import one_answer_text
    from mrpc.app.compare.sides import class_words, side_names

    words = class_words(answers.map(lambda answer: answer.side))
    names = side_names(answers.map(lambda answer: answer.side))
    warnings = [
        "" if only is None else one_answer_text(name, words[only])
        for name, only in zip(names, only_answers, strict=True)
    ]
    first, second = answers.map(lambda answer: 100 * answer.prob_equivalent)
    same = answers.first.label == answers.second.label
    change = "Both give the same answer" if same else "The answer changes"
    known = "" if label is None else f" The corpus says: {words[label]}."
    summary = f"{change}: the probability of “{words[1]}” goes from {first:.1f} to {second:.1f} %.{known}"
    cards = list(zip(("first", "second"), names, answers, warnings, strict=True))
    return render("compare/pair.html", cards=cards, label=label, words=words, summary=summary)


def draw_proposals(services: Services, first: object, second: object) -> str:
    """Propose pairs of validation whose answer changed."""
    from mrpc.app.compare.pair_tables import CELL_WORDS

    pairs = services.comparisons.compare(first, second).changes.proposed(NUM_PROPOSED)
    return render("compare/proposals.html", pairs=pairs, words=CELL_WORDS, usual=COURSE_SENTENCES)


def open_pair(
    services: Services,
    first: object,
    second: object,
    id: object,
    sentence1: object = "",
    sentence2: object = "",
) -> dict[str, object]:
    """Make the pair of a row the current one; any pair is another one than those sentences."""
    from mrpc.app.compare.pair_tables import find_row

    pair = find_row(services.comparisons, first, second, id, (sentence1, sentence2))
    return {"sentence1": pair.sentence1, "sentence2": pair.sentence2}


def draw_words(services: Services, task: Task, **asked: object) -> dict[str, object]:
    """Share out both answers among the words, and leave out each."""
    from mrpc.app.compare.explain_figures import effects_figure
    from mrpc.app.compare.score_figures import plot_names
    from mrpc.core.analysis.attribution import MAX_ERROR, MAX_POINTS

    sides, pair = services.comparisons.look_at(**asked)
    explanations = services.comparisons.explanations

    max_error = ROUGH_ERROR if task.is_resting else MAX_ERROR
    said: dict[str, SideAttribution] = {}

    def draw() -> str:
        return render_words(sides, sides.map(lambda side: said.get(side.name)))

    for side in sides:
        for found in explanations.attribute(side, pair, max_error):  # each time that it has become more exact
            said[side.name] = found
            num = found.attribution.num_points if found.attribution else 0
            task.progress(f"Integrating the gradients of {side.title}, points", num, MAX_POINTS, draw())
    task.progress("Leaving out each word", 0, 0, draw())
    effects = sides.map(lambda side: explanations.leave_out(side, pair))
    return {"stage": draw(), "effects": effects_figure(plot_names(sides), effects)}


def render_words(sides: Both[Side], found: Both[SideAttribution | None]) -> str:
    """Draw the words of a pair, each over a bar for what it adds to the margin, and whether they add up.

    Args:
        sides: who answers.
        found: of both; None where nothing is known yet.
    """
    from mrpc.app.compare.sides import class_words, side_names

    shown = list(zip(("first", "second"), side_names(sides), found, strict=True))
    return render_macro("compare/explain.html", "words", shown, class_words(sides)[1])


def draw_what_if(services: Services, **asked: object) -> str:
    """Show what swapped sentences and other token types do."""
    sides, pair = services.comparisons.look_at(**asked)
    explanations = services.comparisons.explanations
    latencies = sides.map(lambda side: explanations.measure_latency(side, pair))
    return render_variations(sides, explanations.vary(sides, pair), latencies)


def render_variations(sides: Both[Side], found: list[Variation], latencies: Both[float]) -> str:
    """Draw what each change does to both sides, and how long each takes for an answer, in ms."""
    from mrpc.app.compare.sides import class_words, side_names

    asked = class_words(sides)[1]
    return render_macro("compare/explain.html", "variations", side_names(sides), found, latencies, asked)


def draw_attention(
    services: Services, layer: object, head: object, direction: object, **asked: object
) -> dict[str, object]:
    """Draw the attention of one layer, of one head or the mean of all; what is too high is the last one."""
    from mrpc.app.compare.explain_figures import attention_figure, heads_figure, layers_figure
    from mrpc.app.compare.score_figures import COLORS, plot_names
    from mrpc.app.inputs import check_whole

    sides, pair = services.comparisons.look_at(**asked)
    explanations = services.comparisons.explanations
    layer = check_whole(layer, "The layer", 1, MAX_LAYERS)
    head = check_whole(head, "The head", ALL_HEADS, MAX_HEADS)
    direction = "back" if direction == "back" else "forth"

    def attend(side: Side) -> Attention | None:
        num_layers, num_heads = explanations.layers_and_heads(side)
        if not num_layers:
            return None
        return explanations.attend(side, pair, min(layer, num_layers), min(head, num_heads) or None)

    attentions = sides.map(attend)
    names = plot_names(sides)
    maps, heads = [], []
    for attention, name, color in zip(attentions, names, COLORS, strict=True):
        maps.append(attention and attention_figure(attention, direction, name, color))
        heads.append(attention and heads_figure(attention, direction, name, color))
    said = [attention for attention in attentions if attention is not None]
    sliders = {}
    if not said:
        text = "Baselines and exported models show no attention."
    else:
        num_layers, num_heads = said[-1].forth_by_head.shape
        which = (
            "the mean of its heads" if said[-1].head is None else f"head {said[-1].head + 1} of {num_heads}"
        )
        text = f"Shown: layer {said[-1].layer + 1} of {num_layers}, {which}."
        sliders = {
            "layer": _limited(layer, num_layers),
            "head": _limited(head, num_heads),
        }
    return {
        "stage": render_part("quiet", text),
        "maps": maps,
        "heads": heads,
        "layers": layers_figure(names, attentions) if said else None,
        **sliders,
    }


def _limited(value: int, most: int) -> object:
    """Limit a slider; its value stays as it is if it can, for it may have been moved since."""
    return gr.update(maximum=most) if value <= most else gr.update(maximum=most, value=most)


def choose_head(id: object) -> dict[str, object]:
    """Set layer and head to those that were clicked; what cannot be read chooses nothing."""
    layer, _, head = id.partition(":") if isinstance(id, str) else ("", "", "")
    if not (layer.isdigit() and head.isdigit() and len(layer) + len(head) < 7):
        return {}
    return {"layer": int(layer), "head": int(head)}


def draw_nearest(services: Services, task: Task, **asked: object) -> dict[str, object]:
    """List the training pairs nearest to the pair, in the second side's space."""
    from mrpc.app.compare.pair_tables import neighbours_table
    from mrpc.app.compare.sides import class_words

    sides, pair = services.comparisons.look_at(**asked)
    found = services.comparisons.explanations.find_nearest(sides.second, pair, task.progress)
    text = f"The {len(found)} training pairs nearest to the current pair, for {sides.second.title}."
    return {"stage": render_part("quiet", text), "pairs": neighbours_table(found, class_words(sides))}
