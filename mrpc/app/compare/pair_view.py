"""One pair: what both sides say to the current pair while it is typed, and pairs to look at."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mrpc.app.compare.explain_view import build_explanations
from mrpc.app.spine import COURSE_SENTENCES
from mrpc.app.templates import render
from mrpc.app.view import View, bind
from mrpc.app.widgets import stage

if TYPE_CHECKING:
    from mrpc.app.compare.answers import PairAnswer
    from mrpc.app.compare.sides import Both
    from mrpc.app.compare.sides_view import SidesRow
    from mrpc.app.services import Services
    from mrpc.app.spine import Spine

NUM_PROPOSED = 6


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
    build_explanations(services, spine, row)


def draw_answers(
    services: Services, first: object, second: object, sentence1: object, sentence2: object
) -> str:
    """Draw what both sides say."""
    answers = services.comparisons.answer_pair(first, second, sentence1, sentence2)
    sides, pair = services.comparisons.look_at(first, second, sentence1, sentence2)
    label = services.comparisons.shelf.label(sides, pair)
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
    from mrpc.app.compare.verdict import one_answer_text

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
