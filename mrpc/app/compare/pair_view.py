"""One pair: what both sides say to the current pair while it is typed, and pairs to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrpc.app.compare.explain_view import build_explanations
from mrpc.app.spine import COURSE_SENTENCES
from mrpc.app.templates import render, render_part
from mrpc.app.view import View, bind, place, stage

if TYPE_CHECKING:
    from mrpc.app.compare.pair import PairAnswer
    from mrpc.app.compare.sides import Both
    from mrpc.app.compare.sides_view import SidesRow
    from mrpc.app.services import Services
    from mrpc.app.spine import Spine

NUM_PROPOSED = 6


@dataclass(frozen=True)
class Card:
    """One side's answer as it is shown.

    Attributes:
        place: "first" or "second".
        name: of the side.
        label: the answer in words.
        percent: probability of "equivalent", from 0 to 100.
        is_right: None where nobody knows the right answer.
        warning: why its answer says little; "" where it does not.
        is_base: whether it is a model before training.
        facts: what else is known, as (name, value).
    """

    place: str
    name: str
    label: str
    percent: float
    is_right: bool | None
    warning: str
    is_base: bool
    facts: list[tuple[str, str]]


def build_pair_view(services: Services, spine: Spine, row: SidesRow) -> None:
    """Build the view."""
    answers = stage("compare-answers")
    View(
        "compare-answers",
        row.sides | spine.pair,
        {"stage": answers},
        lambda **values: draw_answers(services, **values),
    ).bind()
    proposals = stage("compare-proposals")
    View(
        "compare-proposals",
        row.sides,
        {"stage": proposals},
        lambda **sides: draw_proposals(services, **sides),
    ).bind()
    bind(
        proposals.select,
        lambda **values: open_pair(services, **values),
        row.sides,
        spine.pair,
        data=("id",),
    )
    build_explanations(services, spine, row)
    place(render_part("next", "compare/scores", "Scores: how good is it, and is it luck?"))


def draw_answers(
    services: Services, first: object, second: object, sentence1: object, sentence2: object
) -> str:
    """Draw what both sides say."""
    answers = services.comparisons.pair.answer(first, second, sentence1, sentence2)
    sides, pair = services.comparisons.pair.look_at(first, second, sentence1, sentence2)
    label = services.comparisons.pair.known_label(sides, pair)
    warnings = sides.map(services.comparisons.one_answer)
    return render_answers(answers, label, warnings)


def render_answers(answers: Both[PairAnswer], label: int | None, only_answers: Both[int | None]) -> str:
    """Draw both answers beside each other, and what the corpus says if it is known.

    Args:
        answers: of both sides.
        label: 1 if the corpus calls the pair equivalent.
        only_answers: the label that a side gives to all pairs of validation.
    """
    from mrpc.app.compare.sides import class_words, side_names

    words = class_words(answers.map(lambda answer: answer.side))
    names = side_names(answers.map(lambda answer: answer.side))
    cards = [
        _card(*parts, label, words)
        for parts in zip(answers, names, ("first", "second"), only_answers, strict=True)
    ]
    same = answers.first.label == answers.second.label
    change = "Both give the same answer" if same else "The answer changes"
    known = "" if label is None else f" The corpus says: {words[label]}."
    summary = (
        f"{change}: the probability of “{words[1]}” goes from {cards[0].percent:.1f} to "
        f"{cards[1].percent:.1f} %.{known}"
    )
    return render("compare/pair.html", cards=cards, summary=summary, asked=words[1])


def draw_proposals(services: Services, first: object, second: object) -> str:
    """Propose pairs of validation whose answer changed."""
    from mrpc.app.compare.pair_tables import CELL_WORDS

    pairs = services.comparisons.compare(first, second).changes.proposed(NUM_PROPOSED)
    return render("compare/proposals.html", pairs=pairs, words=CELL_WORDS, usual=COURSE_SENTENCES)


def open_pair(services: Services, first: object, second: object, id: object) -> dict[str, object]:
    """Make the pair of a row the current one."""
    from mrpc.app.compare.pair import find_row

    pair = find_row(services.comparisons, first, second, id)
    return {"sentence1": pair.sentence1, "sentence2": pair.sentence2}


def _card(
    answer: PairAnswer,
    name: str,
    place: str,
    only_answer: int | None,
    label: int | None,
    words: tuple[str, str],
) -> Card:
    from mrpc.app.compare.verdict import one_answer_text
    from mrpc.core.data.pairs import LABEL_NAMES

    side = answer.side
    facts = [
        ("checkpoint", side.checkpoint),
        ("step", "" if side.step is None else str(side.step)),
        ("weights", answer.weights_sha256[:12]),
        ("time", f"{answer.latency_ms:.0f} ms" if answer.latency_ms >= 1 else "< 1 ms"),
    ]
    return Card(
        place=place,
        name=name,
        label=words[LABEL_NAMES.index(answer.label)].capitalize(),
        percent=100 * answer.prob_equivalent,
        is_right=None if label is None else answer.label == LABEL_NAMES[label],
        warning="" if only_answer is None else one_answer_text(name, words[only_answer]),
        is_base=side.kind == "base",
        facts=[fact for fact in facts if fact[1]],
    )
