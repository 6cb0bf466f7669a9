"""Runs as a training process would have written them, made in milliseconds and without torch."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import Any

import psutil

from mrpc.config import TrainConfig
from mrpc.files import write_model
from mrpc.runs import events as ev
from mrpc.runs.layout import DataRef, ProcessInfo, RunStatus
from mrpc.runs.log import EventLog
from mrpc.runs.process import boot_id
from mrpc.runs.run import Run
from mrpc.runs.store import RunStore

NUM_EPOCHS = 3


def create_run(runs_dir: Path, **settings: Any) -> Run:
    """Make a run directory that holds its config alone."""
    data = DataRef(kind="sample", fingerprint="0123456789abcdef", reason="Written for a test.")
    return RunStore(runs_dir).create(TrainConfig(num_epochs=NUM_EPOCHS, **settings), data)


def started_event(num_steps: int) -> ev.StartedEvent:
    return ev.StartedEvent(
        num_steps=num_steps,
        num_epochs=NUM_EPOCHS,
        num_train_pairs=8 * num_steps // NUM_EPOCHS,
        num_validation_pairs=40,
        majority_accuracy=0.6,
        majority_f1=0.75,
        device="cpu",
        num_threads=1,
        base_weights_sha256="00",
        checkpoint_sha256="11",
    )


def step_event(step: int, num_steps: int, loss: float | None = None) -> ev.StepEvent:
    return ev.StepEvent(
        step=step,
        epoch=NUM_EPOCHS * step / num_steps,
        loss=0.7 - 0.3 * step / num_steps + 0.05 * math.sin(step) if loss is None else loss,
        learning_rate=1e-4 * (1 - step / num_steps),
        grad_norm=1.0,
        num_pairs=8,
        num_tokens=400,
        num_padded_tokens=500,
        duration_s=0.5,
        train_s=0.5 * step,
    )


def evaluation_event(epoch: int, num_steps: int, **fields: Any) -> ev.EvaluationEvent:
    values = {
        "step": epoch * num_steps // NUM_EPOCHS,
        "epoch": epoch,
        "loss": 0.69 - 0.1 * epoch,
        "accuracy": 0.6 + 0.08 * epoch,
        "f1": 0.7 + 0.05 * epoch,
        "num_predicted_equivalent": 25,
        "num_pairs": 40,
        "duration_s": 2.0,
        "is_best": epoch > 0,
        "weights_sha256": f"{epoch:064x}",
    }
    return ev.EvaluationEvent(**{**values, **fields})


def write_events(run: Run, events: list[ev.BaseEvent], attempt: int = 1) -> None:
    log = EventLog(run.paths.events, attempt)
    for event in events:
        log.append(event)
    log.close()


def write_process(run: Run, alive: bool, attempt: int = 1) -> None:
    """Say that this very process trains the run, or one that is gone."""
    started_at = psutil.Process().create_time() - (0 if alive else 1000)
    info = ProcessInfo(
        pid=os.getpid(),
        started_at=started_at,
        boot_id=boot_id(),
        process_group=0,
        attempt=attempt,
        command=["train"],
        versions={},
    )
    write_model(run.paths.process, info)


def write_status(run: Run, step: int, num_steps: int, **fields: Any) -> None:
    values = {"phase": "training", "step": step, "num_steps": num_steps, "updated_at": time.time()}
    write_model(run.paths.status, RunStatus(**{**values, **fields}))


def write_running(runs_dir: Path, step: int = 30, num_steps: int = 90, **settings: Any) -> Run:
    """Write a run that is under way, as long as the test lives."""
    run = create_run(runs_dir, **settings)
    write_process(run, alive=True)
    events = [started_event(num_steps), evaluation_event(0, num_steps)]
    write_events(run, events + [step_event(number, num_steps) for number in range(1, step + 1)])
    write_status(run, step, num_steps, epoch=1.0, train_s=0.5 * step)
    return run


def write_ended(runs_dir: Path, outcome: str = "finished", num_steps: int = 90, **settings: Any) -> Run:
    """Write a run that finished, failed, was stopped, discarded or interrupted."""
    run = create_run(runs_dir, **settings)
    write_process(run, alive=False)
    steps = num_steps if outcome == "finished" else num_steps // 2
    epochs = range(NUM_EPOCHS + 1 if outcome == "finished" else 1)
    events: list[ev.BaseEvent] = [started_event(num_steps)]
    events += [step_event(number, num_steps) for number in range(1, steps + 1)]
    events += [evaluation_event(epoch, num_steps) for epoch in epochs]
    hashes = {"best": "aa", "last": "bb"}
    ends: dict[str, ev.BaseEvent] = {
        "finished": ev.FinishedEvent(
            step=steps, train_s=61, peak_memory_bytes=1_500_000_000, best_epoch=3, weights_sha256=hashes
        ),
        "stopped": ev.StoppedEvent(step=steps, saved=True, train_s=20, weights_sha256=hashes),
        "discarded": ev.StoppedEvent(step=steps, saved=False, train_s=20),
        "failed": ev.FailedEvent(
            step=steps,
            cause="The disk is full.",
            suggestion="Free 300 MB and resume.",
            traceback="OSError: [Errno 28] <b>No space</b>",
        ),
    }
    events += [ends[outcome]] if outcome in ends else []
    write_events(run, events)
    status = {"discarded": "stopped"}.get(outcome, outcome)
    best = {"best_epoch": 3, "best_accuracy": 0.84, "best_f1": 0.85} if outcome == "finished" else {}
    error = {"error": "The disk is full."} if outcome == "failed" else {}
    ended = {} if outcome == "interrupted" else {"outcome": status}
    write_status(run, steps, num_steps, train_s=61.0, **best, **error, **ended)
    if outcome in {"finished", "stopped"}:
        run.paths.best_model.mkdir(parents=True)
        (run.paths.best_model / "config.json").write_text("{}")
        (run.paths.best_model / "model.safetensors").write_bytes(b"weights")
    return run
