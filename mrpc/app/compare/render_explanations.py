"""Why both sides answer a pair as they do: words, what-ifs, attention. Pure functions."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mrpc.app.compare.render_changes import SHORT_LABELS
from mrpc.app.compare.render_sides import render_side_name
from mrpc.app.tables import Table, column, marked, table
from mrpc.core.text.wording import mark_differences

if TYPE_CHECKING:
    from mrpc.app.compare.explaining import Neighbour, SideAttribution, Variation
    from mrpc.app.compare.sides import Side
    from mrpc.core.analysis.attribution import Attention, WordAttribution, WordEffect

Figure = dict[str, Any]

VARIATION_HELP = {
    "as typed": "",
    "sentences swapped": "paraphrase is symmetric; BERT is not",
    "token_type_ids zeroed": "as if all were sentence 1",
    "token_type_ids swapped": "0 for 1 and 1 for 0",
}
LEFT_COLOR, RIGHT_COLOR = "var(--base)", "var(--tuned)"


def render_variations(
    variations: Sequence[Variation], left: Side, right: Side, latencies: tuple[float, float]
) -> str:
    """Draw what each change does to both sides, and how long each takes for an answer, in ms."""
    rows = []
    for item in variations:
        cells = "".join(
            f"<td>{_probability(now, before)}</td>"
            for now, before in ((item.left, variations[0].left), (item.right, variations[0].right))
        )
        note = VARIATION_HELP.get(item.name, "")
        rows.append(f'<tr><th scope="row">{html.escape(item.name)} <small>{note}</small></th>{cells}</tr>')
    heads = "".join(
        f'<th scope="col">{render_side_name(side, place)}</th>'
        for side, place in ((left, "left"), (right, "right"))
    )
    return (
        '<div class="cmp-table-scroll"><table class="cmp-scores"><caption>Probability of “equivalent”, in '
        f"percent</caption><thead><tr><td></td>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        f'<p class="cmp-quiet">One answer takes {latencies[0]:.1f} ms on the left and {latencies[1]:.1f} ms '
        "on the right: the middle of five.</p>"
    )


def render_words(found: SideAttribution | None, place: str) -> str:
    """Draw the words of a pair, each over a bar for what it adds to the margin, and whether they add up."""
    if found is None:
        return f'<article class="cmp-side cmp-{place}"><p class="cmp-quiet">Working …</p></article>'
    name = f"<h3>{render_side_name(found.side, place)}</h3>"
    attribution = found.attribution
    if attribution is None:
        text = '<p class="cmp-quiet">A baseline has no gradients.</p>'
        return f'<article class="cmp-side cmp-{place}">{name}{text}</article>'
    most = max((abs(word.value) for word in attribution.words), default=0.0) or 1.0
    strips = "".join(
        f'<p class="cmp-strip" aria-label="Sentence {number + 1}">'
        + "".join(_word(word, most) for word in attribution.words if word.sentence == number)
        + "</p>"
        for number in (0, 1)
    )
    if attribution.is_complete:
        trust = "They add up."
    elif attribution.is_last:
        trust = "They do not add up well: read with care."
    else:
        trust = "Still adding points …"
    sums = (
        f"{trust} The words add {attribution.total:+.3f} to the margin; the pair’s margin differs by "
        f"{attribution.difference:+.3f} from that of an empty pair (error {100 * attribution.error:.2f} %, "
        f"{attribution.num_points} Gauss-Legendre points, {found.duration_s:.1f} s)."
    )
    return (
        f'<article class="cmp-side cmp-{place}">{name}{strips}'
        f'<p class="cmp-quiet">{html.escape(sums)}</p></article>'
    )


def effects_figure(left: Sequence[WordEffect], right: Sequence[WordEffect]) -> Figure | None:
    """Draw what leaving out each word does to the probability, both sides beside each other."""
    if not left:
        return None
    num_first = sum(effect.sentence == 0 for effect in left)
    traces = []
    for place, effects, color, pattern in (
        ("left", left, LEFT_COLOR, "/"),
        ("right", right, RIGHT_COLOR, ""),
    ):
        traces.append(
            {
                "type": "bar",
                "name": place,
                "x": list(range(len(effects))),
                "y": [round(100 * effect.change, 2) for effect in effects],
                "text": [f"sentence {effect.sentence + 1}: {plotly_text(effect.text)}" for effect in effects],
                "textposition": "none",
                "hovertemplate": "%{text}<br>%{y:+.1f} points<extra>" + place + "</extra>",
                "marker": {"color": color, "pattern": {"shape": pattern, "size": 5, "solidity": 0.5}},
            }
        )
    divider = {"type": "line", "x0": num_first - 0.5, "x1": num_first - 0.5, "y0": 0, "y1": 1}
    layout = {
        "height": 330,
        "barmode": "group",
        "bargap": 0.25,
        "xaxis": {
            "tickmode": "array",
            "tickvals": list(range(len(left))),
            "ticktext": [plotly_text(effect.text) for effect in left],
            "tickangle": -60,
        },
        "yaxis": {"title": {"text": "change without the word, points"}},
        "shapes": [
            {**divider, "yref": "paper", "line": {"color": "var(--quiet)", "dash": "dot", "width": 1}}
        ],
    }
    strongest = max([*left, *right], key=lambda effect: abs(effect.change))
    alt = f"Leaving out “{strongest.text}” moves the answer most: {100 * strongest.change:+.1f} points."
    return {"data": traces, "layout": layout, "alt": alt}


def plotly_text(text: str) -> str:
    """Return text for a chart: plotly reads a little HTML in labels, so it is escaped; long words are cut."""
    return html.escape(text if len(text) <= 24 else text[:23] + "…")


def attention_figure(attention: Attention, direction: str, place: str) -> Figure:
    """Draw the attention between the sentences in one layer.

    Args:
        attention: of one side.
        direction: "forth" from sentence 1 to 2, "back" from 2 to 1.
        place: left or right.
    """
    rows, columns = attention.tokens1, attention.tokens2
    values = attention.forth
    if direction == "back":
        rows, columns, values = columns, rows, attention.back
    from_, to = ("1", "2") if direction == "forth" else ("2", "1")
    trace = {
        "type": "heatmap",
        "z": (100 * values).round(2).tolist(),
        "x": [f"{number} {plotly_text(token)}" for number, token in enumerate(columns)],
        "y": [f"{number} {plotly_text(token)}" for number, token in enumerate(rows)],
        "colorscale": [[0, "rgba(128,128,128,0.06)"], [1, RIGHT_COLOR if place == "right" else LEFT_COLOR]],
        "showscale": False,
        "hovertemplate": "%{y} → %{x}: %{z:.1f} %<extra></extra>",
        "xgap": 1,
        "ygap": 1,
    }
    layout = {
        "height": 120 + 17 * len(rows),
        "xaxis": {
            "title": {"text": f"to sentence {to}"},
            "tickangle": -60,
            "tickmode": "array",
            "tickvals": trace["x"],
            "ticktext": [plotly_text(token) for token in columns],
            "showgrid": False,
        },
        "yaxis": {
            "title": {"text": f"from sentence {from_}"},
            "autorange": "reversed",
            "tickmode": "array",
            "tickvals": trace["y"],
            "ticktext": [plotly_text(token) for token in rows],
            "showgrid": False,
        },
    }
    alt = f"Attention of layer {attention.layer + 1} on the {place} from sentence {from_} to sentence {to}."
    return {"data": [trace], "layout": layout, "alt": alt}


def layers_figure(left: Attention | None, right: Attention | None) -> Figure:
    """Draw how much attention crosses from one sentence to the other, by layer."""
    traces = []
    for place, attention in (("left", left), ("right", right)):
        if attention is None:
            continue
        color = RIGHT_COLOR if place == "right" else LEFT_COLOR
        for name, shares, dash in (
            ("1 → 2", attention.forth_by_layer, "solid"),
            ("2 → 1", attention.back_by_layer, "dot"),
        ):
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": f"{place}, {name}",
                    "x": list(range(1, len(shares) + 1)),
                    "y": (100 * shares).round(2).tolist(),
                    "line": {"color": color, "dash": dash},
                    "marker": {"symbol": "circle" if place == "right" else "circle-open", "size": 8},
                    "hovertemplate": "layer %{x}: %{y:.1f} %<extra></extra>",
                }
            )
    layout = {
        "height": 280,
        "xaxis": {"title": {"text": "layer"}, "dtick": 1},
        "yaxis": {"title": {"text": "attention to the other sentence, %"}, "rangemode": "tozero"},
    }
    return {
        "data": traces,
        "layout": layout,
        "alt": "Attention that crosses between the sentences, by layer.",
    }


def neighbours_table(neighbours: Sequence[Neighbour]) -> Table:
    """Return the nearest training pairs as a table."""
    columns = [
        column("row", "Pair of train", "number"),
        column("cosine", "Cosine", "number", digits=3),
        column("label", "Corpus"),
        column("sentence1", "Sentence 1", "diff"),
        column("sentence2", "Sentence 2", "diff"),
    ]
    rows = []
    for item in neighbours:
        first, second = mark_differences(item.sentence1, item.sentence2)
        rows.append(
            {
                "row": item.row,
                "cosine": round(item.cosine, 4),
                "label": SHORT_LABELS[item.label],
                "sentence1": marked(first),
                "sentence2": marked(second),
            }
        )
    return table(columns, rows, "Nearest training pairs", "nearest-training-pairs.csv")


def _word(word: WordAttribution, most: float) -> str:
    share = abs(word.value) / most
    sign = "for" if word.value >= 0 else "against"
    title = f"{word.value:+.4f} {sign} “equivalent”"
    return (
        f'<span class="cmp-word cmp-{sign}" style="--share:{share:.3f}" title="{title}" tabindex="0">'
        f"{html.escape(word.text)}<i></i></span> "
    )


def _probability(now: float | None, before: float | None) -> str:
    if now is None:
        return '<span class="cmp-quiet">not used by this model</span>'
    text = f"<b>{100 * now:.1f}</b>"
    if before is None or now == before:
        return text
    change = 100 * (now - before)
    flips = (now > 0.5) != (before > 0.5)
    mark = ' <span class="cmp-wrong">answer flips</span>' if flips else ""
    return f'{text} <span class="cmp-interval">{change:+.1f}</span>{mark}'
