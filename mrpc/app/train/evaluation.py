"""One evaluation of a run, step by step on its own numbers: predict, argmax, the metric, compute_metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrpc.app.templates import render, render_part
from mrpc.core.data.pairs import label_words
from mrpc.errors import UnavailableError

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.core.analysis.statistics import Confusion
    from mrpc.core.model.stored_predictions import PairPredictions
    from mrpc.runs.events import EvaluationEvent

NUM_SHOWN = 3
NOT_YET = "Appears here after the first evaluation: the logits of some pairs, and how a score comes of them."
COMPUTE_METRICS = """\
metric = evaluate.load("glue", "mrpc")

def compute_metrics(eval_preds):
    logits, labels = eval_preds
    predictions = np.argmax(logits, axis=-1)
    return metric.compute(predictions=predictions, references=labels)"""


@dataclass(frozen=True)
class EvaluatedPair:
    """One pair of an evaluation.

    Attributes:
        idx: the pair's own number.
        label: 1 for equivalent, 0 for not.
        logits: of not equivalent and of equivalent.
        answer: argmax of the logits.
        prob_right: what softmax gives the right class, in [0, 1].
        loss: minus its logarithm, nats.
    """

    idx: int
    label: int
    logits: tuple[float, float]
    answer: int
    prob_right: float
    loss: float


@dataclass(frozen=True)
class EvaluationSteps:
    """An evaluation, taken apart.

    Attributes:
        event: what the run recorded of it.
        untrained: the same before training, or None.
        pairs: some of its pairs, one that is answered wrong among them where there is one.
        cells: the four outcomes of all pairs.
        loss: mean over all pairs, nats.
    """

    event: EvaluationEvent
    untrained: EvaluationEvent | None
    pairs: Sequence[EvaluatedPair]
    cells: Confusion
    loss: float


def evaluation_html(services: Services, run_id: str) -> str:
    """Show the newest evaluation of a run as steps, or say when there will be one.

    Raises:
        UnknownRunError: there is no such run.
    """
    steps = take_apart(services, run_id)
    if steps is None:
        return render_part("quiet", NOT_YET)
    words = label_words(services.store.open(run_id).config.data.label_names)
    return render("train/evaluation.html", steps=steps, words=words, code=COMPUTE_METRICS, ln2=math.log(2))


def take_apart(services: Services, run_id: str) -> EvaluationSteps | None:
    """Return the newest evaluation on validation whose logits were kept, or None."""
    from mrpc.core.analysis.statistics import confusion
    from mrpc.core.model.stored_predictions import read_predictions

    view = services.monitoring.watch(run_id)
    with view.lock:
        evaluations = view.history.validation()
    for event in reversed(evaluations):
        try:
            found = read_predictions(view.run.paths.validation_predictions(event.epoch))
        except UnavailableError:
            continue
        untrained = evaluations[0] if evaluations[0].epoch == 0 else None
        cells = confusion(found.label, found.predicted)
        return EvaluationSteps(event, untrained, _choose(found), cells, found.loss)
    return None


def _choose(found: PairPredictions) -> list[EvaluatedPair]:
    """Return the first pairs, the last of them the first that is answered wrong, if one is."""
    wrong = [number for number in range(len(found)) if found.predicted[number] != found.label[number]]
    right = [number for number in range(len(found)) if found.predicted[number] == found.label[number]]
    numbers = [*right[: NUM_SHOWN - bool(wrong)], *wrong[:NUM_SHOWN]][:NUM_SHOWN]
    return [
        EvaluatedPair(
            idx=int(found.idx[number]),
            label=int(found.label[number]),
            logits=(float(found.logits[number, 0]), float(found.logits[number, 1])),
            answer=int(found.predicted[number]),
            prob_right=math.exp(-float(found.pair_losses[number])),
            loss=float(found.pair_losses[number]),
        )
        for number in sorted(numbers)
    ]
