"""What a page says about one run beside its plots: state, progress, speed, outcome, and what went wrong."""

from __future__ import annotations

import html

from mrpc.app.format import render_bytes, render_count, render_duration, render_percent, render_time
from mrpc.config import RESUMABLE_LOOPS, changed_settings
from mrpc.runs.events import FailedEvent, FinishedEvent, StoppedEvent
from mrpc.runs.layout import RunStatus
from mrpc.runs.record import RunRecord, best_of
from mrpc.runs.store import ALIVE_STATES, Run, RunState

SPEED_STEPS = 50
"""Speed is that of so many newest steps."""

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

NO_RUN = (
    '<section class="run-view run-empty"><h2>No run yet</h2><p>Choose a preset and press <b>Start '
    "training</b>. "
    "It goes on when you close this page, and shows again when you come back.</p></section>"
)


def render_state(state: RunState) -> str:
    """Draw the state as a pill."""
    return f'<span class="state state-{state}"><i aria-hidden="true">{STATE_SIGNS[state]}</i>{state}</span>'


def render_run(run: Run, state: RunState, status: RunStatus, history: RunRecord) -> str:
    """Draw the head of a run: what it is, how far it is, how fast, how it ended."""
    parts = [_render_title(run, state), _render_progress(state, status, history)]
    parts += [_render_notice(kind, text) for kind, text in describe_outcome(run, state, status, history)]
    if isinstance(history.terminal, FailedEvent) and history.terminal.traceback:
        trace = html.escape(history.terminal.traceback)
        parts.append(
            f'<pre class="traceback" tabindex="0" aria-label="Last lines of the traceback">{trace}</pre>'
        )
    parts.append(_render_figures(state, status, history))
    return f'<section class="run-view">{"".join(parts)}</section>'


def describe_outcome(
    run: Run, state: RunState, status: RunStatus, history: RunRecord
) -> list[tuple[str, str]]:
    """Say in words what a person should know, as (kind, plain text); kind is good, note, warn or bad."""
    notices: list[tuple[str, str]] = []
    terminal = history.terminal
    checkpoint = (
        f"The last checkpoint is of step {history.checkpoint_step:,}."
        if history.checkpoint_step is not None
        else "There is no checkpoint yet."
    )
    match state:
        case RunState.FINISHED:
            notices.append(("good", _describe_finish(status, terminal)))
        case RunState.STOPPED if isinstance(terminal, StoppedEvent) and not terminal.saved:
            notices.append(
                ("note", "Stopped and discarded: its weights are deleted, log and curves are kept.")
            )
        case RunState.STOPPED if terminal is None:
            notices.append(("warn", _describe_cut_short(run, status, history)))
        case RunState.STOPPED:
            kept = "Its weights and a checkpoint are kept."
            if run.config.hyperparameters.loop not in RESUMABLE_LOOPS:
                kept = "Its weights are kept; this loop cannot go on from them."
            weights = kept if run.has_weights() else "No weights were kept."
            notices.append(("note", f"Stopped after step {status.step:,}. {weights}"))
        case RunState.STOPPING:
            notices.append(("note", _describe_stopping(run, history, checkpoint)))
        case RunState.FAILED:
            cause = run.error() or "The training process ended with an error and gave no cause."
            notices.append(("bad", cause))
            if isinstance(terminal, FailedEvent) and terminal.suggestion:
                notices.append(("note", f"What you can do: {terminal.suggestion}"))
        case RunState.INTERRUPTED:
            text = (
                f"The process ended without a word after step {status.step:,}: it was killed, memory ran "
                f"out, or the machine was restarted. {checkpoint}"
            )
            notices.append(("warn", text))
        case RunState.STALLED:
            process = run.read_process()
            number = f" (process {process.pid})" if process else ""
            text = (
                f"It lives{number} but has said nothing since {render_time(status.updated_at)}. The machine "
                f"may be busy or asleep. Wait, or stop it. {checkpoint}"
            )
            notices.append(("warn", text))
    if history.non_finite:
        first = history.non_finite[0]
        more = f" and {len(history.non_finite) - 1:,} more times" if len(history.non_finite) > 1 else ""
        text = f"Not a number: {first.what} was {first.value} at step {first.step:,}{more}."
        notices.append(("bad", text))
    for cut, resumed in history.cuts:
        origin = f"checkpoint {resumed:,}" if resumed else "the start"
        repeated = f"{render_count(cut - resumed, 'step')} repeated"
        notices.append(("note", f"Cut at step {cut:,}, resumed from {origin}, {repeated}."))
    notices += [("warn", message) for message in history.warnings[-3:]]
    if history.num_unreadable:
        notices.append(("warn", f"{history.num_unreadable:,} lines of this run's record cannot be read."))
    return notices


def num_steps_at_risk(history: RunRecord) -> int:
    """Return how many steps would have to be repeated if the process ended this moment."""
    last = history.last_step.step if history.last_step else 0
    return max(0, last - (history.checkpoint_step or 0))


def run_caption(run: Run, history: RunRecord) -> str:
    """Say in a line, as plain text, what a plot of this run shows: run, seed, data, versions, device."""
    config, started, process = run.config, history.started, run.read_process()
    name = run.read_label().name
    facts = [f"Run {run.run_id}" + (f" ({name})" if name else ""), f"seed {config.hyperparameters.seed}"]
    facts.append(f"data {config.data.kind} {config.data.fingerprint[:12]}")
    versions = (started.versions if started else {}) or (process.versions if process else {})
    if versions:
        facts.append(", ".join(f"{package} {version}" for package, version in versions.items()))
    if started is not None:
        threads = f"{started.num_threads} thread" + "s" * (started.num_threads != 1)
        processes = f", {started.num_processes} processes" if started.num_processes > 1 else ""
        facts.append(f"{started.device}, {threads}{processes}")
    return " · ".join(facts)


def recent_speed(history: RunRecord) -> tuple[float, float, float] | None:
    """Return pairs, real tokens and positions with padding per second, newest steps; None before any."""
    steps = history.steps.newest(SPEED_STEPS)
    seconds = sum(step.duration_s for step in steps)
    if seconds <= 0:
        return None
    return (
        sum(step.num_pairs for step in steps) / seconds,
        sum(step.num_tokens for step in steps) / seconds,
        sum(step.num_padded_tokens for step in steps) / seconds,
    )


def _render_title(run: Run, state: RunState) -> str:
    train, label = run.config.hyperparameters, run.read_label()
    name = html.escape(label.name or run.run_id)
    pairs = f"{train.num_train_pairs:,} pairs" if train.num_train_pairs else "all pairs"
    facts = [train.preset, train.checkpoint, pairs, f"seed {train.seed}", f"{run.config.data.kind} data"]
    shown = {"preset", "checkpoint", "num_train_pairs", "seed", "loop"}
    facts += [f"{key} {value}" for key, value in changed_settings(train).items() if key not in shown]
    facts.append(f"started {render_time(run.config.created_at)}")
    line = " · ".join(html.escape(str(fact)) for fact in facts)
    pill = f'<span role="status">{render_state(state)}</span>'
    return f'<div class="run-title"><h2>{name}</h2>{pill}</div><p class="run-facts">{line}</p>'


def _render_progress(state: RunState, status: RunStatus, history: RunRecord) -> str:
    last, started = history.last_step, history.started
    step = last.step if last else 0
    num_steps = started.num_steps if started else status.num_steps
    epoch = last.epoch if last else 0.0
    share = min(1.0, step / num_steps) if num_steps else 0.0
    of_steps = f" of {num_steps:,}" if num_steps else ""
    of_epochs = f" of {started.num_epochs}" if started else ""
    words = [f"step {step:,}{of_steps}", f"epoch {epoch:.2f}{of_epochs}"]
    if state in ALIVE_STATES and status.phase not in {"training", ""}:
        words.append(html.escape(status.phase))
    is_waiting = state in ALIVE_STATES and not step
    values = f'aria-valuemin="0" aria-valuemax="{num_steps or 0}" aria-valuenow="{step}"'
    return (
        f'<div class="bar{" bar-waiting" if is_waiting else ""} bar-{state}" role="progressbar" '
        f'aria-label="Training steps" {values}>'
        f'<div style="width:{100 * share:.2f}%"></div></div>'
        f'<p class="bar-words">{" · ".join(words)}</p>'
    )


def _render_figures(state: RunState, status: RunStatus, history: RunRecord) -> str:
    """Draw the row of figures: time left, speed, loss, best scores."""
    figures: list[tuple[str, str, str]] = []
    last = history.last_step
    if state in ALIVE_STATES:
        eta = history.eta_s()
        figures.append(
            (
                "time left",
                "–" if eta is None else render_duration(eta),
                "after the first steps" * (eta is None),
            )
        )
    elapsed = last.train_s if last else status.train_s
    figures.append(("trained for", render_duration(max(elapsed, status.train_s)), "validation included"))
    speed = recent_speed(history)
    if speed is not None:
        pairs, tokens, padded = speed
        figures.append(("speed", f"{pairs:.1f}", "pairs per second"))
        figures.append(
            ("tokens", f"{tokens:,.0f}", f"real per second, +{100 * (padded / tokens - 1):.0f} % padding")
        )
    validations = history.validation()
    if validations:
        newest = validations[-1]
        best = best_of(validations) or newest
        for name, value, top in (
            ("accuracy", newest.accuracy, best.accuracy),
            ("F1", newest.f1, best.f1),
        ):
            epoch = f"epoch {newest.epoch}" if newest.epoch else "untrained"
            note = epoch if best is newest else f"{epoch}; {render_percent(top)} at best, epoch {best.epoch}"
            figures.append((f"{name}, validation", render_percent(value), note))
    tests = {event.is_best: event for (split, _), event in history.evaluations.items() if split == "test"}
    if len(tests) == 2:
        for name, value, before in (
            ("accuracy", tests[True].accuracy, tests[False].accuracy),
            ("F1", tests[True].f1, tests[False].f1),
        ):
            figures.append((f"{name}, test", render_percent(value), f"untrained {render_percent(before)}"))
    cells = "".join(
        f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}<small>{html.escape(note)}</small></dd></div>"
        for name, value, note in figures
    )
    return f'<dl class="figures">{cells}</dl>'


def _describe_finish(status: RunStatus, terminal: object) -> str:
    best = ""
    if status.best_epoch is not None:
        best = (
            f" Best epoch {status.best_epoch}: accuracy {render_percent(status.best_accuracy)}, "
            f"F1 {render_percent(status.best_f1)} on validation."
        )
    if isinstance(terminal, FinishedEvent):
        peak = f" The process needed {render_bytes(terminal.peak_memory_bytes)} of memory."
        return f"Finished in {render_duration(terminal.train_s)}.{best}{peak}"
    return f"Finished.{best}"


def _describe_stopping(run: Run, history: RunRecord, checkpoint: str) -> str:
    request = run.read_stop_request(history.attempt)
    if request is not None and not request.save:
        return "Discarding: the process ends within seconds, then its weights and checkpoints are deleted."
    if run.config.hyperparameters.loop not in RESUMABLE_LOOPS:
        return "Finishing the step, writing the weights."
    return f"Finishing the step, writing the checkpoint. {checkpoint}"


def _describe_cut_short(run: Run, status: RunStatus, history: RunRecord) -> str:
    """Say what is left of a run whose process ended before it could report that it stopped."""
    request = run.read_stop_request(history.attempt)
    if request is not None and not request.save:
        return "Stopped and discarded: its weights are deleted, log and curves are kept."
    repeated = render_count(num_steps_at_risk(history), "step")
    last = history.last_step
    step = max(status.step, int(last.step) if last is not None else 0)  # the log is ahead of the status
    if history.checkpoint_step is None or run.config.hyperparameters.loop not in RESUMABLE_LOOPS:
        return f"Ended after step {step:,} before it could save: there is no checkpoint to go on from."
    return (
        f"Ended after step {step:,} before it could save. The checkpoint of step "
        f"{history.checkpoint_step:,} is kept; Resume goes on from there and repeats {repeated}."
    )


def _render_notice(kind: str, text: str) -> str:
    return f'<p class="notice notice-{kind}">{html.escape(text)}</p>'
