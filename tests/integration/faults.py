"""Kill real trainings at random moments, again and again, and see that nothing is lost.

``make faults`` runs the long form: ``python -m tests.integration.faults --kills 200``. A short form is in
``test_faults.py``. Each training is compared with one of the same settings that was never cut: the weights
must be the same to the bit. Every other training takes the fast steps, with numbers from another generator.
Some attempts train in a PID namespace of their own, as in a container, where that is allowed; and beside some
that live the clock is set two hours back or forth.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from mrpc.files import write_model
from mrpc.runs.log import read_events
from mrpc.runs.process import ExitCode
from mrpc.runs.run import Run, RunState
from mrpc.runs.store import RunStore
from mrpc.training import checkpoints
from tests.integration.training_process import (
    NEW_NAMESPACE,
    can_make_namespaces,
    create_run,
    kill,
    spawn,
    step_losses,
    terminal,
)
from tests.training.in_process import run_training, train_here

MOMENTS = ("preparing", "training", "writing a checkpoint")
WEIGHTS = (1, 3, 3)
PLAIN = {"num_epochs": 20, "checkpoint_every_s": 0.1, "seed": 11}
FAST = {**PLAIN, "fast": True, "swap_probability": 0.5, "batch_order": "length"}


@dataclass
class Tally:
    """What happened over all kills; everything from ``unreadable_runs`` on must be zero."""

    can_be_apart: bool = False
    kills: int = 0
    kills_inside_checkpoint_writes: int = 0
    trainings: int = 0
    in_another_namespace: int = 0
    clock_steps: int = 0
    resumed_from_checkpoint: int = 0
    most_steps_repeated: int = 0
    most_steps_between_checkpoints: int = 0
    unreadable_runs: int = 0
    taken_for_dead: int = 0
    taken_for_living: int = 0
    doubled_trainings: int = 0
    lost_checkpoints: int = 0
    different_weights: int = 0
    different_losses: int = 0


def kill_again_and_again(
    runs_dir: Path, data_dir: Path, checkpoint_dir: Path, num_kills: int, seed: int, kills_a_run: int = 10
) -> Tally:
    """Kill trainings ``num_kills`` times and return the tally."""
    chance = random.Random(seed)
    tally = Tally(can_be_apart=can_make_namespaces())
    references = []
    for settings in (PLAIN, FAST):
        references.append(
            train_here(create_run(runs_dir / "reference", data_dir, checkpoint_dir, **settings))
        )
    while tally.kills < num_kills:
        reference = references[tally.trainings % len(references)]
        settings = reference.config.hyperparameters.model_dump()
        victim = create_run(runs_dir / "victims", data_dir, checkpoint_dir, **settings)
        for _ in range(min(kills_a_run, num_kills - tally.kills)):
            if not _train_and_kill(victim, chance, tally):
                break
        if victim.state() is not RunState.FINISHED:
            assert run_training(victim) == 0, victim.paths.log.read_text()
        tally.trainings += 1
        tally.different_weights += terminal(victim).weights_sha256 != terminal(reference).weights_sha256
        tally.different_losses += step_losses(victim) != step_losses(reference)
        _count_repeated_steps(victim, tally)
        print(tally, file=sys.stderr, flush=True)
    return tally


def _train_and_kill(run: Run, chance: random.Random, tally: Tally) -> bool:
    """Let one attempt run to a random moment and kill it; False when it finished before."""
    before = _committed(run)
    is_apart = tally.can_be_apart and chance.random() < 0.35
    process = spawn(run, prefix=NEW_NAMESPACE if is_apart else ())
    moment = chance.choices(MOMENTS, WEIGHTS)[0]
    first_step = max(step_losses(run), default=0)
    if moment == "preparing":
        time.sleep(chance.uniform(0.3, 6.0))
    elif moment == "training":
        wanted = first_step + chance.randint(1, 40)
        while process.poll() is None and max(step_losses(run), default=0) < wanted:
            time.sleep(0.01)
    else:
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            if any(run.paths.checkpoints.glob(".step-*")):
                time.sleep(chance.uniform(0, 0.01))
                break
            time.sleep(0.0005)  # it writes for some milliseconds; without a pause, this takes a core from it
    if process.poll() is not None:
        return False
    tally.in_another_namespace += is_apart
    info = run.read_process()
    if tally.kills % 2 and info is not None:  # so the file looks on a set clock
        moved = info.started_at + chance.choice((-7200, 7200))
        write_model(run.paths.process, info.model_copy(update={"started_at": moved, "start_ticks": None}))
        tally.clock_steps += 1
        is_dead = run.state() in {RunState.INTERRUPTED, RunState.STOPPED, RunState.FAILED}
        tally.taken_for_dead += is_dead and info.has_lock and process.poll() is None and run.is_trained()
    if chance.random() < 0.1:
        tally.doubled_trainings += not _second_is_refused(run, process)
    before = _committed(run) or before
    kill(process)
    deadline = time.monotonic() + 20
    while run.is_trained() and time.monotonic() < deadline:  # the kernel ends what was started apart
        time.sleep(0.01)
    tally.taken_for_living += run.is_trained()
    tally.kills += 1
    tally.kills_inside_checkpoint_writes += any(run.paths.checkpoints.glob(".step-*"))
    try:
        state = RunStore(run.paths.run_dir.parent).open(run.run_id).state()
    except ValueError:
        tally.unreadable_runs += 1
    else:
        expected = {RunState.INTERRUPTED, RunState.FINISHED, RunState.STARTING}
        tally.unreadable_runs += state not in expected
    kept = checkpoints.load_newest(run.paths.checkpoints)
    finished = run.state() is RunState.FINISHED
    tally.lost_checkpoints += not finished and bool(before) and (kept is None or kept.step < max(before))
    return not finished


def _second_is_refused(run: Run, process: subprocess.Popen[bytes]) -> bool:
    """Start the run a second time beside its process; True when only one of the two trained."""
    second = spawn(run)
    code = second.wait(300)
    attempts = [event.attempt for event in read_events(run.paths.events)]
    if attempts != sorted(attempts):
        return False  # both wrote
    # Else it was refused, or came first itself, or just after the end, when nothing was left to train.
    return code == ExitCode.BUSY or process.poll() == ExitCode.BUSY or run.state() is RunState.FINISHED


def _committed(run: Run) -> set[int]:
    return {int(path.name[5:]) for path in run.paths.checkpoints.glob("step-*")}


def _count_repeated_steps(run: Run, tally: Tally) -> None:
    events = read_events(run.paths.events)
    for event in events:
        if event.type == "resumed":
            tally.resumed_from_checkpoint += 1
            tally.most_steps_repeated = max(tally.most_steps_repeated, event.cut_step - event.step)
    last = 0
    for event in events:
        if event.type == "resumed":
            last = event.step
        if event.type == "checkpoint":
            tally.most_steps_between_checkpoints = max(
                tally.most_steps_between_checkpoints, event.step - last
            )
            last = event.step


def main() -> int:
    """Run the long form and print the tally as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    import torch

    from tests.tiny import write_tiny_checkpoint, write_tiny_data

    torch.set_num_threads(1)  # as many as the processes have that are compared with what is trained here
    with tempfile.TemporaryDirectory(prefix="mrpc-faults-") as folder:
        data_dir = write_tiny_data(Path(folder) / "data")
        checkpoint_dir = write_tiny_checkpoint(Path(folder) / "tiny-bert")
        began_at = time.monotonic()
        tally = kill_again_and_again(
            Path(folder) / "runs", data_dir, checkpoint_dir, options.kills, options.seed
        )
        print(
            json.dumps({**asdict(tally), "minutes": round((time.monotonic() - began_at) / 60, 1)}, indent=2)
        )
    bad = (
        tally.taken_for_dead
        + tally.taken_for_living
        + tally.unreadable_runs
        + tally.doubled_trainings
        + tally.lost_checkpoints
    )
    return 1 if bad + tally.different_weights + tally.different_losses else 0


if __name__ == "__main__":
    sys.exit(main())
