"""Predict a split on request, outside of a training and not counted as training time."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from datasets import Dataset

from mrpc.core.data.load import LoadedData
from mrpc.core.model.checkpoint_folder import weights_sha256
from mrpc.core.model.classifier import load_base, load_finetuned
from mrpc.core.model.metrics import compute_metrics
from mrpc.core.model.prediction import Predictor
from mrpc.core.model.pretrained import load_tokenizer, resolve_pretrained
from mrpc.core.model.stored_predictions import PairPredictions, write_predictions
from mrpc.errors import RunStateError
from mrpc.files import csv_text
from mrpc.runs.events import EvaluationEvent
from mrpc.runs.log import EventLog
from mrpc.runs.run import Run
from mrpc.training.setup import load_run_data

logger = logging.getLogger("mrpc.training")


def evaluate_test(run: Run) -> None:
    """Predict test with the run's model before training and with its best, and record both.

    Where test has no labels, the answers are written as CSV too, and nothing is scored.

    Raises:
        RunStateError: when the run has no fine-tuned weights.
        DataError: when its data has no test split.
    """
    if not run.has_weights():
        raise RunStateError(f"Run {run.run_id} has no fine-tuned weights to evaluate.")
    data: LoadedData = load_run_data(run)
    test = data.split("test")
    checkpoint = resolve_pretrained(run.config.hyperparameters.checkpoint, run.config.checkpoint_dir)
    best, tokenizer = load_finetuned(run.paths.best_model)
    base = load_base(checkpoint, run.paths.base)
    models = {
        "base": (base, load_tokenizer(checkpoint), 0),
        "best": (best, tokenizer, run.read_status().best_epoch or 0),
    }
    log = EventLog(run.paths.events, run.read_status().attempt)
    for name, (model, model_tokenizer, epoch) in models.items():
        started_at = time.monotonic()
        predictor = Predictor(model, model_tokenizer, run.config.hyperparameters.max_length)
        predictions = predictor.predict_dataset(test)
        weights_hash = weights_sha256(model)
        write_predictions(run.paths.test_predictions(name), predictions, {"weights_sha256": weights_hash})
        if not data.has_labels("test"):
            path = run.paths.test_predictions(name).with_suffix(".csv")
            path.write_text(answers_as_csv(test, predictions, data.label_names), encoding="utf-8", newline="")
            logger.info("test, %s: predicted in %s; without labels nobody can score it.", name, path.name)
            continue
        metrics = compute_metrics(predictions.predicted, predictions.label)
        log.append(
            EvaluationEvent(
                step=0 if name == "base" else run.read_status().step,
                epoch=epoch,
                split="test",
                loss=predictions.loss,
                num_predicted_equivalent=int(predictions.predicted.sum()),
                num_pairs=len(predictions),
                duration_s=time.monotonic() - started_at,
                is_best=name == "best",
                weights_sha256=weights_hash,
                accuracy=metrics["accuracy"],
                f1=metrics["f1"],
            )
        )
        logger.info("test, %s: accuracy %.4f, F1 %.4f", name, metrics["accuracy"], metrics["f1"])
    log.close()


def answers_as_csv(pairs: Dataset, predictions: PairPredictions, label_names: Sequence[str]) -> str:
    """Return pairs with the predicted label and its probability as CSV, for a split that has no labels."""
    answers = zip(pairs, predictions.predicted, predictions.prob_equivalent.round(6).tolist(), strict=True)
    rows = (
        (row["idx"], row["sentence1"], row["sentence2"], label_names[label], prob)
        for row, label, prob in answers
    )
    return csv_text(["idx", "sentence1", "sentence2", "predicted", f"prob_{label_names[1]}"], rows)
