"""Predict a split on request, outside of a training and not counted as training time."""

from __future__ import annotations

import logging
import time

from mrpc.core.data.load import LoadedData
from mrpc.core.model.classifier import load_base, load_finetuned
from mrpc.core.model.metrics import compute_metrics
from mrpc.core.model.prediction import predict_dataset
from mrpc.core.model.pretrained import load_tokenizer, resolve_pretrained
from mrpc.core.model.stored_predictions import write_predictions
from mrpc.core.model.weights import weights_sha256
from mrpc.errors import RunStateError
from mrpc.runs.events import EvaluationEvent
from mrpc.runs.log import EventLog
from mrpc.runs.store import Run
from mrpc.training.session import load_run_data

logger = logging.getLogger("mrpc.training")


def evaluate_test(run: Run) -> None:
    """Predict test with the run's model before training and with its best, and record both.

    Raises:
        RunStateError: when the run has no fine-tuned weights.
    """
    if not run.has_weights():
        raise RunStateError(f"Run {run.run_id} has no fine-tuned weights to evaluate.")
    data: LoadedData = load_run_data(run)
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
        predictions = predict_dataset(
            model, model_tokenizer, data.dataset["test"], max_length=run.config.hyperparameters.max_length
        )
        weights_hash = weights_sha256(model)
        metrics = compute_metrics(predictions.predicted, predictions.label)
        write_predictions(run.paths.test_predictions(name), predictions, {"weights_sha256": weights_hash})
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
