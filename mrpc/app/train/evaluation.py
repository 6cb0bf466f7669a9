"""One evaluation of a run, step by step on its own numbers: predict, argmax, the metric, compute_metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrpc.app.templates import render, render_part
from mrpc.app.train.monitoring import watch
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
class EvaluationSteps:
    """An evaluation, taken apart.

    Attributes:
        event: what the run recorded of it.
        untrained: the same before training, or None.
        found: the logits and labels of its pairs.
        shown: places of some of them, of one that is answered wrong among them where there is one.
        cells: the four outcomes of all pairs.
    """

    event: EvaluationEvent
    untrained: EvaluationEvent | None
    found: PairPredictions
    shown: Sequence[int]
    cells: Confusion


def evaluation_html(services: Services, run_id: str) -> str:
    """Show the newest evaluation of a run as steps, or say when there will be one.

    Raises:
        UnknownRunError: there is no such run.
    """
    steps = take_apart(services, run_id)
    if steps is None:
        return render_part("quiet", NOT_YET)
    words = label_words(services.store.open(run_id).config.data.label_names)
    return render(
        "train/evaluation.html", steps=steps, words=words, code=COMPUTE_METRICS, ln2=math.log(2), e=math.e
    )


def take_apart(services: Services, run_id: str) -> EvaluationSteps | None:
    """Return the newest evaluation on validation whose logits were kept, or None."""
    from mrpc.core.analysis.statistics import confusion
    from mrpc.core.model.stored_predictions import read_predictions

    view = watch(services.store, run_id)
    with view.lock:
        evaluations = view.history.validation()
    for event in reversed(evaluations):
        try:
            found = read_predictions(view.run.paths.validation_predictions(event.epoch))
        except UnavailableError:
            continue
        untrained = evaluations[0] if evaluations[0].epoch == 0 else None
        cells = confusion(found.label, found.predicted)
        return EvaluationSteps(event, untrained, found, _choose(found), cells)
    return None


def _choose(found: PairPredictions) -> list[int]:
    """Return the places of the first pairs, the last of them the first that is answered wrong, if one is."""
    is_wrong = found.predicted != found.label
    wrong, right = is_wrong.nonzero()[0].tolist(), (~is_wrong).nonzero()[0].tolist()
    return sorted([*right[: NUM_SHOWN - bool(wrong)], *wrong[:NUM_SHOWN]][:NUM_SHOWN])
