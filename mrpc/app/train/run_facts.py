"""What a page says about one run beside its plots: state, progress, speed, outcome, what went wrong.

Its newest evaluation comes step by step on its own numbers: predict, argmax, the metric, compute_metrics.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from mrpc.app.format import (
    render_bytes,
    render_count,
    render_duration,
    render_percent,
    render_time,
    run_title,
)
from mrpc.app.templates import render, render_part
from mrpc.app.train.runs import RunView, watch
from mrpc.config import RESUMABLE_LOOPS, changed_settings
from mrpc.core.data.pairs import label_words
from mrpc.core.model.precision import WORDS
from mrpc.errors import UnavailableError
from mrpc.runs.events import FailedEvent, FinishedEvent, StoppedEvent
from mrpc.runs.record import SPEED_STEPS, RunRecord, best_of, has_collapsed
from mrpc.runs.run import ALIVE_STATES, Run, RunState

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.core.model.stored_predictions import PairPredictions

DISCARDED = "Stopped and discarded: its weights are deleted, log and curves are kept."

STATE_SIGNS: dict[RunState, str] = {
    RunState.QUEUED: "◷",
    RunState.STARTING: "◌",
    RunState.RUNNING: "●",
    RunState.STALLED: "!",
    RunState.STOPPING: "◌",
    RunState.FINISHED: "✓",
    RunState.STOPPED: "■",
    RunState.FAILED: "✕",
    RunState.INTERRUPTED: "!",
}
"""A sign beside the name of each state, so that colour never stands alone."""

NUM_SHOWN = 3
"""Pairs of an evaluation, with their logits."""

NOT_YET = "Appears here after the first evaluation: the logits of some pairs, and how a score comes of them."
COMPUTE_METRICS = """\
metric = evaluate.load("glue", "mrpc")

def compute_metrics(eval_preds):
    logits, labels = eval_preds
    predictions = np.argmax(logits, axis=-1)
    return metric.compute(predictions=predictions, references=labels)"""


def status_html(view: RunView, num_split_pairs: int | None = None) -> str:
    """Show the head of a run: what it is, how far it is, what a person should know of it, its numbers.

    Args:
        view: of the run; its lock must be held.
        num_split_pairs: pairs of the training split that it draws from; None where that is not known.
    """
    run, state, terminal = view.run, view.state, view.record.terminal
    step, num_steps = _steps(view)
    return render(
        "train/status.html",
        run_id=run.run_id,
        title=run_title(run),
        facts=describe_settings(view, num_split_pairs),
        note=run.read_label().note,
        state=state,
        state_words=run.state_words(state),
        sign=STATE_SIGNS[state],
        step=step,
        num_steps=num_steps,
        share=min(1.0, step / num_steps) if num_steps else 0.0,
        progress=_describe_progress(view),
        is_waiting=state in ALIVE_STATES and not step,
        notices=list(describe_outcome(view)),
        traceback=terminal.traceback if isinstance(terminal, FailedEvent) else "",
        figures=list(list_figures(view)),
    )


def _steps(view: RunView) -> tuple[int, int | None]:
    """Return how many steps were reported, and how many there will be, once that is known."""
    last, started = view.record.last_step, view.record.started
    return int(last.step) if last else 0, started.num_steps if started else view.status.num_steps


def describe_outcome(view: RunView) -> Iterator[tuple[str, str]]:
    """Say in words what a person should know, as (kind, plain text); kind is good, note, warn or bad."""
    run, state, status, record = view.run, view.state, view.status, view.record
    terminal = record.terminal
    checkpoint = (
        f"The last checkpoint is of step {record.checkpoint_step:,}."
        if record.checkpoint_step is not None
        else "There is no checkpoint yet."
    )
    match state:
        case RunState.FINISHED:
            tone = "warn" if has_collapsed(record.validation()) else "good"
            yield tone, _describe_finish(view)
        case RunState.STOPPED if isinstance(terminal, StoppedEvent) and not terminal.saved:
            yield "note", DISCARDED
        case RunState.STOPPED if terminal is None:
            yield "warn", _describe_cut_short(view)
        case RunState.STOPPED if run.is_paused(state):
            text = "The GPU is lent for about a minute at a time. Resume goes on exactly where this stopped."
            yield "note", text
        case RunState.STOPPED:
            kept = "Its weights and a checkpoint are kept."
            if run.config.hyperparameters.loop not in RESUMABLE_LOOPS:
                kept = "Its weights are kept; this loop cannot go on from them."
            weights = kept if run.has_weights() else "No weights were kept."
            when = f"after step {status.step:,}" if status.step else "before the first step"
            yield "note", f"Stopped {when}. {weights}"
        case RunState.STOPPING:
            yield "note", _describe_stopping(run, record, checkpoint)
        case RunState.FAILED:
            yield "bad", run.error() or "The training process ended with an error and gave no cause."
            if isinstance(terminal, FailedEvent) and terminal.suggestion:
                yield "note", f"What you can do: {terminal.suggestion}"
        case RunState.INTERRUPTED:
            yield (
                "warn",
                f"The process ended after step {status.step:,} and did not report why: it was killed, memory "
                f"ran out, or the machine was restarted. {checkpoint}",
            )
        case RunState.STALLED:
            process = run.read_process()
            number = f" (process {process.pid})" if process else ""
            yield (
                "warn",
                f"It runs{number} but has reported nothing since {render_time(status.updated_at)}. The "
                f"machine may be busy or asleep. Wait, or stop it. {checkpoint}",
            )
    if record.non_finite:
        first = record.non_finite[0]
        more = f" and {len(record.non_finite) - 1:,} more times" if len(record.non_finite) > 1 else ""
        yield "bad", f"Not a number: {first.what} was {first.value} at step {first.step:,}{more}."
    for cut, resumed in record.cuts:
        origin = f"checkpoint {resumed:,}" if resumed else "the start"
        repeated = f"{render_count(cut - resumed, 'step')} repeated"
        yield "note", f"Cut at step {cut:,}, resumed from {origin}, {repeated}."
    for message in record.warnings[-3:]:
        yield "warn", message
    if record.num_unreadable:
        yield "warn", f"{record.num_unreadable:,} lines of this run's record cannot be read."


def num_steps_at_risk(record: RunRecord) -> int:
    """Return how many steps would have to be repeated if the process ended this moment."""
    last = record.last_step.step if record.last_step else 0
    return max(0, last - (record.checkpoint_step or 0))


def run_caption(view: RunView) -> str:
    """Say in a line, as plain text, what a plot of this run shows: run, seed, data, versions, device."""
    run, started = view.run, view.record.started
    config, process, name = run.config, run.read_process(), run.read_label().name
    facts = [f"Run {run.run_id}" + (f" ({name})" if name else ""), f"seed {config.hyperparameters.seed}"]
    facts.append(f"data {config.data.title.removesuffix(' data')} {config.data.fingerprint[:12]}")
    versions = (started.versions if started else {}) or (process.versions if process else {})
    if versions:
        facts.append(", ".join(f"{package} {version}" for package, version in versions.items()))
    if started is not None:
        threads = f"{started.num_threads} thread" + "s" * (started.num_threads != 1)
        processes = f", {started.num_processes} processes" if started.num_processes > 1 else ""
        facts.append(f"{started.device}, {threads}{processes}, {WORDS[started.mixed_precision]}")
    return " · ".join(facts)


def recent_speed(record: RunRecord) -> tuple[float, float, float] | None:
    """Return pairs, real tokens and positions with padding per second, newest steps; None before any."""
    steps = record.steps.newest(SPEED_STEPS)
    seconds = sum(step.duration_s for step in steps)
    if seconds <= 0:
        return None
    return (
        sum(step.num_pairs for step in steps) / seconds,
        sum(step.num_tokens for step in steps) / seconds,
        sum(step.num_padded_tokens for step in steps) / seconds,
    )


def describe_settings(view: RunView, num_split_pairs: int | None) -> list[str]:
    """Say what a run is: its settings, its data and when it was started; see :func:`status_html`."""
    run, train = view.run, view.run.config.hyperparameters
    facts = [train.checkpoint, _describe_pairs(view, num_split_pairs), f"seed {train.seed}"]
    facts.append(run.config.data.title)
    if view.record.started is not None:
        facts.append(f"steps in {WORDS[view.record.started.mixed_precision]}")
    shown = {"preset", "checkpoint", "num_train_pairs", "seed", "loop"}
    facts += [
        f"{name.replace('_', ' ')} {_as_word(value)}"
        for name, value in changed_settings(train).items()
        if name not in shown
    ]
    return [*facts, f"started {render_time(run.config.created_at)}", run.run_id]


def _as_word(value: object) -> object:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


def _describe_pairs(view: RunView, num_split_pairs: int | None) -> str:
    """Say how many pairs it is really trained on, which may be fewer than were asked for."""
    started, asked = view.record.started, view.run.config.hyperparameters.num_train_pairs
    used = started.num_train_pairs if started else None
    if used is None:
        return f"up to {asked:,} pairs" if asked else "all pairs"
    if num_split_pairs is None:
        return render_count(used, "pair")
    return f"all {used:,} pairs" if used == num_split_pairs else f"{used:,} of {num_split_pairs:,} pairs"


def _describe_progress(view: RunView) -> str:
    last, started = view.record.last_step, view.record.started
    step, num_steps = _steps(view)
    of_steps = f" of {num_steps:,}" if num_steps else ""
    of_epochs = f" of {started.num_epochs}" if started else ""
    words = [
        f"step {step:,}{of_steps}",
        f"epoch {last.epoch if last else 0.0:.2f}{of_epochs}",
    ]
    if view.state in ALIVE_STATES and view.status.phase not in {"training", ""}:
        words.append(view.status.phase)
    return " · ".join(words)


def list_figures(view: RunView) -> Iterator[tuple[str, str, str]]:
    """Yield time left, speed, and scores on validation and test, each as (name, number, what it is of)."""
    state, status, record = view.state, view.status, view.record
    last = record.last_step
    if state in ALIVE_STATES:
        eta = record.eta_s()
        yield "time left", *(("–", "after the first steps") if eta is None else (render_duration(eta), ""))
    elapsed = max(last.train_s if last else 0.0, status.train_s)
    yield "trained for", render_duration(elapsed), "validation included"
    speed = recent_speed(record)
    if speed is not None:
        pairs, tokens, padded = speed
        yield "speed", f"{pairs:.1f}", "pairs per second"
        yield "tokens", f"{tokens:,.0f}", f"real per second, +{100 * (padded / tokens - 1):.0f} % padding"
    scores = (("accuracy", "accuracy"), ("F1", "f1"))
    validations = record.validation()
    if validations:
        newest = validations[-1]
        best = best_of(validations) or newest
        epoch = f"epoch {newest.epoch}" if newest.epoch else "untrained"
        for name, key in scores:
            top = f"; {render_percent(getattr(best, key))} at best, epoch {best.epoch}"
            note = epoch + top * (best is not newest)
            yield f"{name}, validation", render_percent(getattr(newest, key)), note
    tests = {event.is_best: event for (split, _), event in record.evaluations.items() if split == "test"}
    if len(tests) == 2:
        for name, key in scores:
            note = f"untrained {render_percent(getattr(tests[False], key))}"
            yield f"{name}, test", render_percent(getattr(tests[True], key)), note


def _describe_finish(view: RunView) -> str:
    status, terminal, best = view.status, view.record.terminal, ""
    if status.best_epoch is not None:
        best = (
            f" Best epoch {status.best_epoch}: accuracy {render_percent(status.best_accuracy)}, "
            f"F1 {render_percent(status.best_f1)} on validation."
        )
    if isinstance(terminal, FinishedEvent):
        peak = f" The process needed {render_bytes(terminal.peak_memory_bytes)} of memory."
        return f"Finished in {render_duration(terminal.train_s)}.{best}{peak}"
    return f"Finished.{best}"


def _describe_stopping(run: Run, record: RunRecord, checkpoint: str) -> str:
    request = run.read_stop_request(record.attempt)
    if request is not None and not request.save:
        return "Discarding: the process ends within seconds, then its weights and checkpoints are deleted."
    if run.config.hyperparameters.loop not in RESUMABLE_LOOPS:
        return "Finishing the step, writing the weights."
    return f"Finishing the step, writing the checkpoint. {checkpoint}"


def _describe_cut_short(view: RunView) -> str:
    """Say what is left of a run whose process ended before it could report that it stopped."""
    run, record = view.run, view.record
    request = run.read_stop_request(record.attempt)
    if request is not None and not request.save:
        return DISCARDED
    repeated = render_count(num_steps_at_risk(record), "step")
    step = max(view.status.step, _steps(view)[0])  # the log is ahead of the status
    if record.checkpoint_step is None or run.config.hyperparameters.loop not in RESUMABLE_LOOPS:
        return f"Ended after step {step:,} before it could save: there is no checkpoint to go on from."
    return (
        f"Ended after step {step:,} before it could save. The checkpoint of step "
        f"{record.checkpoint_step:,} is kept; Resume goes on from there and repeats {repeated}."
    )


def evaluation_html(services: Services, run_id: str) -> str:
    """Show the newest evaluation whose logits were kept as steps, or say when there will be one.

    Raises:
        UnknownRunError: there is no such run.
    """
    from mrpc.core.analysis.statistics import confusion
    from mrpc.core.model.stored_predictions import read_predictions

    view = watch(services.store, run_id)
    evaluations = view.record.validation()
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
