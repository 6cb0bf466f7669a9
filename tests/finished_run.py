"""A finished run of the tiny BERT, made in a second by a plain loop, with the files of a real one."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import torch

from mrpc.config import TrainConfig
from mrpc.core.analysis.statistics import confusion
from mrpc.core.data.load import LoadedData
from mrpc.core.model.checkpoint_folder import weights_sha256
from mrpc.core.model.classifier import load_classifier, save_base_tensors, save_model_folder
from mrpc.core.model.metrics import majority_metrics
from mrpc.core.model.prediction import Predictor
from mrpc.core.model.pretrained import load_tokenizer, resolve_pretrained
from mrpc.core.model.stored_predictions import write_predictions, write_table
from mrpc.core.text.batching import PairCollator
from mrpc.core.text.tokenization import encode_dataset
from mrpc.files import write_model
from mrpc.runs import events as ev
from mrpc.runs.layout import DataRef, ProcessInfo, RunStatus
from mrpc.runs.log import EventLog
from mrpc.runs.process import boot_id
from mrpc.runs.run import Run
from mrpc.runs.store import RunStore


def make_finished_run(
    runs_dir: Path,
    data: LoadedData,
    checkpoint_dir: Path,
    num_epochs: int = 3,
    seed: int = 1,
    **settings: object,
) -> Run:
    """Train the checkpoint on all pairs for some epochs and leave what a finished run leaves."""
    config = TrainConfig(checkpoint="local:tiny-bert", num_epochs=num_epochs, seed=seed, **settings)
    ref = DataRef(
        kind=data.kind,
        data_dir=data.data_dir,
        fingerprint=data.fingerprint,
        split_fingerprints=dict(data.split_fingerprints),
    )
    run = RunStore(runs_dir).create(config, ref, checkpoint_dir)
    checkpoint = resolve_pretrained(config.checkpoint, checkpoint_dir)
    tokenizer = load_tokenizer(checkpoint)
    model, new_parameters, _ = load_classifier(checkpoint, seed)
    save_base_tensors(model, new_parameters, run.paths.base, checkpoint.sha256)
    log = EventLog(run.paths.events, 1)
    log.append(_started(data, config, model, checkpoint.sha256, new_parameters))
    write_model(
        run.paths.process,
        ProcessInfo(
            pid=os.getpid(),
            started_at=psutil.Process().create_time() - 100,  # a process that is gone
            boot_id=boot_id(),
            process_group=0,
            attempt=1,
            command=["train"],
            versions={},
        ),
    )
    best: dict[str, object] = {}
    step = 0

    def evaluate(epoch: int) -> None:
        predictions = Predictor(model, tokenizer).predict_dataset(data.dataset["validation"])
        sha256 = weights_sha256(model)
        write_predictions(
            run.paths.validation_predictions(epoch),
            predictions,
            {"epoch": str(epoch), "weights_sha256": sha256},
        )
        cells = confusion(predictions.label, predictions.predicted)
        is_best = epoch > 0 and cells.f1 > best.get("f1", -1.0)
        if is_best:
            best.update(epoch=epoch, f1=cells.f1, accuracy=cells.accuracy, sha256=sha256)
            save_model_folder(model, tokenizer, run.paths.best_model)
        if epoch and config.keep_epochs == "all":
            save_model_folder(model, tokenizer, run.paths.epoch_model(epoch))
        log.append(
            ev.EvaluationEvent(
                step=step,
                epoch=epoch,
                loss=predictions.loss,
                accuracy=cells.accuracy,
                f1=cells.f1,
                num_predicted_equivalent=int(predictions.predicted.sum()),
                num_pairs=len(predictions),
                duration_s=0.1,
                is_best=is_best,
                weights_sha256=sha256,
            )
        )

    train = data.dataset["train"]
    encoded = encode_dataset(tokenizer, train)
    collate = PairCollator(tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    evaluate(0)
    for epoch in range(1, num_epochs + 1):
        model.train()
        records: dict[str, list[float]] = {"idx": [], "label": [], "loss": [], "prob_equivalent": []}
        for first in range(0, len(encoded), 16):
            rows = list(range(first, min(first + 16, len(encoded))))
            batch = collate([encoded[row] for row in rows])
            output = model(**batch)
            output.loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            losses = torch.nn.functional.cross_entropy(output.logits, batch["labels"], reduction="none")
            records["idx"] += [train["idx"][row] for row in rows]
            records["label"] += batch["labels"].tolist()
            records["loss"] += losses.tolist()
            records["prob_equivalent"] += output.logits.softmax(-1)[:, 1].tolist()
        model.eval()
        evaluate(epoch)
        write_table(run.paths.train_records(epoch), pa.table(records), {"epoch": str(epoch)})
    save_model_folder(model, tokenizer, run.paths.last_model)
    log.append(
        ev.FinishedEvent(
            step=step,
            train_s=1.0,
            peak_memory_bytes=1,
            best_epoch=int(np.int64(best["epoch"])),
            weights_sha256={"best": str(best["sha256"]), "last": weights_sha256(model)},
        )
    )
    log.close()
    write_model(
        run.paths.status,
        RunStatus(
            phase="finished",
            step=step,
            updated_at=time.time(),
            best_epoch=best["epoch"],
            best_f1=best["f1"],
            best_accuracy=best["accuracy"],
            outcome="finished",
        ),
    )
    return run


def _started(data, config, model, checkpoint_sha256, new_parameters) -> ev.StartedEvent:
    majority = majority_metrics(data.dataset["validation"]["label"])
    return ev.StartedEvent(
        num_steps=1,
        num_epochs=config.num_epochs,
        num_train_pairs=len(data.dataset["train"]),
        num_validation_pairs=len(data.dataset["validation"]),
        majority_accuracy=majority["accuracy"],
        majority_f1=majority["f1"],
        device="cpu",
        num_threads=1,
        base_weights_sha256=weights_sha256(model),
        checkpoint_sha256=checkpoint_sha256,
        new_parameters=new_parameters,
    )
