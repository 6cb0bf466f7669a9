"""The model card of a finished run: what it is, how good, how sure that is, and what it cannot do.

Every number is computed here from answers of the model (:mod:`mrpc.publish.answers`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from mrpc import __version__
from mrpc.config import changed_settings
from mrpc.core.analysis.statistics import Interval, confusion, metric_intervals
from mrpc.core.data.load import MRPC_FINGERPRINT
from mrpc.core.data.pairs import LABEL_NAMES
from mrpc.core.hub import DATASET
from mrpc.core.model.metrics import majority_metrics
from mrpc.core.model.precision import WORDS
from mrpc.core.model.pretrained import PRETRAINED
from mrpc.core.model.stored_predictions import PairPredictions
from mrpc.errors import RunStateError
from mrpc.publish.answers import TestedBehavior, last_end, read_test, read_validation
from mrpc.publish.onnx import FILES, OnnxExport, read_export
from mrpc.runs.events import StartedEvent
from mrpc.runs.layout import DataRef
from mrpc.runs.log import read_events
from mrpc.runs.run import Run

TEMPLATE_DIR = Path(__file__).parent
LICENSE = "apache-2.0"
OTHER_LICENSES = {"FacebookAI/roberta-base": "mit"}
"""What a fine-tuned model is licensed as: as its checkpoint, which nobody knows of a folder of one's own."""

METRICS = {"accuracy": "Accuracy", "f1": "F1"}


@dataclass(frozen=True)
class SplitScore:
    """One metric on one split.

    Attributes:
        split: "validation" or "test".
        metric: "accuracy" or "f1".
        value: in [0, 1].
        interval: 95 %, see :mod:`mrpc.core.analysis.statistics`.
        majority: the same metric of always giving the more frequent answer.
        num_pairs: in the split.
        is_one_answer: every pair of the split, or nearly every one, got the same answer.
    """

    split: str
    metric: str
    value: float
    interval: Interval
    majority: float
    num_pairs: int
    is_one_answer: bool


def base_model_id(run: Run) -> str | None:
    """Return the Hub's id of the checkpoint that a run started from; None for a folder, which has none."""
    known = PRETRAINED.get(run.config.hyperparameters.checkpoint)
    return known.hub_name if known is not None else None


def score_splits(run: Run) -> list[SplitScore]:
    """Score the best model of a finished run on validation and, where it was predicted, on test."""
    answers = {"validation": read_validation(run), "test": read_test(run)}
    return [score for split, found in answers.items() if found is not None for score in _score(split, found)]


def _score(split: str, answers: PairPredictions) -> list[SplitScore]:
    labels, predicted = answers.label, answers.predicted
    cells = confusion(labels, predicted)
    values = {"accuracy": cells.accuracy, "f1": cells.f1}
    intervals = metric_intervals(labels, predicted, answers.prob_equivalent)
    majority = majority_metrics(labels)
    return [
        SplitScore(
            split,
            metric,
            values[metric],
            intervals[metric],
            majority[metric],
            len(labels),
            is_one_answer=answers.only_answer is not None,
        )
        for metric in METRICS
    ]


def build_card(run: Run, repo_id: str, behavior: Sequence[TestedBehavior]) -> ModelCard:
    """Write the card of a run.

    Args:
        run: a finished one.
        repo_id: "owner/name" on the Hub.
        behavior: see :func:`mrpc.publish.answers.run_behavioral_tests`.

    Raises:
        RunStateError: it has not finished, or has no scores on validation.
    """
    end, process, scores = last_end(run), run.read_process(), score_splits(run)
    if not scores or scores[0].split != "validation":
        raise RunStateError(f"Run {run.run_id} has no stored predictions on validation to report.")
    config, data = run.config.hyperparameters, run.config.data
    metadata = _metadata(run, repo_id, scores)
    text = _template().render(
        repo_id=repo_id,
        base_model=base_model_id(run) or config.checkpoint,
        run_id=run.run_id,
        data_name=_data_name(data),
        data=data,
        is_news=_is_glue(data),
        is_paraphrase=data.label_names == LABEL_NAMES,
        classes=[plain(name) for name in data.label_names],
        config=config,
        changed=changed_settings(config),
        settings=config.model_dump(mode="json"),
        best_epoch=end.best_epoch,
        weights_sha256=end.weights_sha256["best"],
        scores=scores,
        metrics=METRICS,
        behavior=behavior,
        versions=process.versions if process else {},
        version=__version__,
        computed_in=computed_in(run),
        onnx=current_export(run),
        onnx_files=FILES,
    )
    return ModelCard(f"---\n{metadata.to_yaml()}\n---\n\n{text}")


def _metadata(run: Run, repo_id: str, scores: Sequence[SplitScore]) -> ModelCardData:
    """Return what the Hub reads of the card."""
    data, base_model = run.config.data, base_model_id(run)
    is_glue, is_paraphrase = _is_glue(data), data.label_names == LABEL_NAMES
    return ModelCardData(
        base_model=base_model,  # the Hub refuses a card with anything but an id
        datasets=[DATASET] if is_glue else None,
        eval_results=[
            EvalResult(
                task_type="text-classification",
                task_name="Paraphrase identification" if is_paraphrase else "Sentence pair classification",
                dataset_type=DATASET if is_glue else "own",
                dataset_name=_data_name(data),
                dataset_config="mrpc" if is_glue else None,
                dataset_split=score.split,
                metric_type=score.metric,
                metric_name=METRICS[score.metric],
                metric_value=round(score.value, 4),
            )
            for score in scores
        ],
        language="en" if is_glue or data.kind == "sample" else None,
        library_name="transformers",
        license=OTHER_LICENSES.get(base_model, LICENSE) if base_model else None,
        metrics=list(METRICS),
        model_name=repo_id.rpartition("/")[2],
        pipeline_tag="text-classification",
        tags=[
            *(["paraphrase-identification"] if is_paraphrase else []),
            "mrpc-lab",
            *(["onnx", "transformers.js"] if current_export(run) else []),
        ],
    )


def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE_DIR),
        autoescape=False,  # Markdown; every text of the run's own stands in a code span, see the filter
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = code_span
    return environment.get_template("card.md")


def _is_glue(data: DataRef) -> bool:
    return data.kind == "hub" or data.fingerprint == MRPC_FINGERPRINT


def _data_name(data: DataRef) -> str:
    if _is_glue(data):
        return "MRPC (GLUE)"
    return "sample pairs of MRPC Lab" if data.kind == "sample" else plain(data.name)


def current_export(run: Run) -> OnnxExport | None:
    """Return what was exported of the best model of a finished run; None for an export of earlier weights."""
    export = read_export(run)
    is_current = export is not None and export.weights_sha256 == last_end(run).weights_sha256["best"]
    return export if is_current else None


def computed_in(run: Run) -> str:
    """Return which numbers the last attempt computed its steps in, and on what; "" where not known."""
    attempts = [event for event in read_events(run.paths.events) if isinstance(event, StartedEvent)]
    return f"{WORDS[attempts[-1].mixed_precision]} on {attempts[-1].device}" if attempts else ""


def plain(name: str) -> str:
    """Return a name of the data's own as it may stand in a sentence of Markdown."""
    return re.sub(r"[^\w .,()-]", " ", name)[:80].replace("__", "_").strip() or "own pairs"


def code_span(value: object) -> str:
    """Write a value as a Markdown code span on one line, whatever is in it."""
    text = " ".join(str(value).split()).replace("`", "'")
    return f"`{text}`" if text else "` `"
