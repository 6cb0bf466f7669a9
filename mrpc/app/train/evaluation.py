"""One evaluation of a run, step by step on its own numbers: predict, argmax, the metric, compute_metrics."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mrpc.app.templates import render, render_part
from mrpc.app.train.runs import watch
from mrpc.core.data.pairs import label_words
from mrpc.errors import UnavailableError

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.core.model.stored_predictions import PairPredictions

NUM_SHOWN = 3
NOT_YET = "Appears here after the first evaluation: the logits of some pairs, and how a score comes of them."
COMPUTE_METRICS = """\
metric = evaluate.load("glue", "mrpc")

def compute_metrics(eval_preds):
    logits, labels = eval_preds
    predictions = np.argmax(logits, axis=-1)
    return metric.compute(predictions=predictions, references=labels)"""


def evaluation_html(services: Services, run_id: str) -> str:
    """Show the newest evaluation whose logits were kept as steps, or say when there will be one.

    Raises:
        UnknownRunError: there is no such run.
    """
    from mrpc.core.analysis.statistics import confusion
    from mrpc.core.model.stored_predictions import read_predictions

    view = watch(services.store, run_id)
    evaluations = view.history.validation()
    for event in reversed(evaluations):
        try:
            found = read_predictions(view.run.paths.validation_predictions(event.epoch))
        except UnavailableError:
            continue
        return render(
            "train/evaluation.html",
            event=event,
            untrained=evaluations[0] if evaluations[0].epoch == 0 else None,
            found=found,
            shown=_choose(found),
            cells=confusion(found.label, found.predicted),
            classes=label_words(view.run.config.data.label_names),
            code=COMPUTE_METRICS,
            ln2=math.log(2),
            e=math.e,
        )
    return render_part("quiet", NOT_YET)


def _choose(found: PairPredictions) -> list[int]:
    """Return the places of the first pairs, the last of them the first that is answered wrong, if one is."""
    is_wrong = found.predicted != found.label
    wrong, right = is_wrong.nonzero()[0].tolist(), (~is_wrong).nonzero()[0].tolist()
    return sorted([*right[: NUM_SHOWN - bool(wrong)], *wrong[:NUM_SHOWN]][:NUM_SHOWN])
