"""Training in slices of lent GPU time: in a forked daemon, and in the real app on a stand-in for ZeroGPU."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gradio_client import Client

from mrpc.app.train.zero_gpu import Loans, borrow, loan_s, slice_s
from mrpc.files import write_model
from mrpc.runs.layout import RunStatus
from mrpc.runs.log import read_events
from mrpc.runs.run import Run, RunState
from tests.integration.training_process import create_run, step_losses, terminal
from tests.live_app import PROJECT_DIR, running_app, wait_until
from tests.training.in_process import train_here

pytestmark = [pytest.mark.integration, pytest.mark.slow]

STUB = PROJECT_DIR / "tests" / "spaces_stub"
KEY = "a-key-that-is-long-enough"
LOAN_S = 25


def lent(run: Run, budget_s: float, place: str = "child") -> int:
    """Train a slice as ZeroGPU does, in a child of its worker or in the worker itself."""
    command = [sys.executable, "-m", "tests.integration.zero_gpu_worker"]
    arguments = [str(run.paths.run_dir), str(budget_s), place]
    return subprocess.run([*command, *arguments], cwd=PROJECT_DIR, timeout=240, check=False).returncode


@pytest.fixture(scope="module")
def make_run(
    tmp_path_factory: pytest.TempPathFactory, long_data_dir: Path, tiny_checkpoint_dir: Path
) -> Callable[[], Run]:
    """Make the same run again and again, each in a runs folder of its own."""

    def make() -> Run:
        runs_dir = tmp_path_factory.mktemp("runs")
        values = {"num_epochs": 1, "num_train_pairs": 2_500, "seed": 5}
        return create_run(runs_dir, long_data_dir, tiny_checkpoint_dir, **values)

    return make


@pytest.fixture(scope="module")
def uncut(make_run: Callable[[], Run]) -> Run:
    return train_here(make_run())


@pytest.mark.parametrize("place", ["child", "worker"])
def test_slices_end_with_the_weights_of_an_uncut_run(
    make_run: Callable[[], Run], uncut: Run, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    run = make_run()
    num_steps = terminal(uncut).step
    num_slices = 0
    while run.state() is not RunState.FINISHED:
        # Ask for the end once the slice has trained its share, whatever this machine's speed.
        goal = run.read_status().step + num_steps // 2
        stopping = _stop_at(run, goal)
        lent(run, 300.0, place)
        stopping.shutdown()
        num_slices += 1
        assert num_slices < 6, run.paths.log.read_text()
        if run.state() is not RunState.FINISHED:
            assert run.state() is RunState.STOPPED, run.paths.log.read_text()
            assert run.is_paused()
            assert terminal(run).saved
    assert num_slices >= 2
    assert step_losses(run) == step_losses(uncut)
    assert terminal(run).weights_sha256 == terminal(uncut).weights_sha256


def _stop_at(run: Run, step: int) -> ThreadPoolExecutor:
    """Do what the end of the time does, at a step: the time that a machine needs is nobody's to foretell."""
    pool = ThreadPoolExecutor(1)
    attempt = run.read_status().attempt if run.read_process() else 0

    def work() -> None:
        wait_until(lambda: run.read_status().attempt > attempt or attempt == 0)
        wait_until(lambda: run.read_status().step >= step or run.read_status().outcome == "finished", 200)
        run.request_stop(save=True, reason="gpu time")

    pool.submit(work)
    return pool


def test_a_slice_ends_in_time_and_a_first_one_may_save_nothing(make_run: Callable[[], Run]) -> None:
    run = make_run()
    assert lent(run, 0.5) != 0  # before the first step
    assert run.state() is RunState.STOPPED
    assert run.is_paused()


def test_a_loan_that_is_cut_off_leaves_no_process(make_run: Callable[[], Run]) -> None:
    run = make_run()

    def cut(run_dir: str, budget_s: float) -> int:
        assert lent(run, budget_s, "cut") == 0, run.paths.log.read_text()
        raise RuntimeError("GPU task aborted")

    ended = borrow(Loans(cut, 60.0), run)
    assert "aborted" in str(ended.exception(timeout=120))
    wait_until(lambda: run.state() is RunState.INTERRUPTED)
    assert run.living_process() is None


def test_how_long_a_gpu_is_asked_for(make_run: Callable[[], Run]) -> None:
    run = make_run()
    assert slice_s(run, 60.0) == 60.0
    write_model(run.paths.status, RunStatus(step=90, num_steps=100, train_s=45.0))
    assert slice_s(run, 60.0) == 30.0
    write_model(run.paths.status, RunStatus(step=50, num_steps=100, train_s=45.0))
    assert slice_s(run, 60.0) == 60.0
    assert loan_s("", 60.0) == 80


def test_the_real_app_on_a_stand_in_for_zero_gpu(
    tmp_path: Path, long_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    log = tmp_path / "stub.log"
    environment = {
        **{"SPACES_ZERO_GPU": "true", "SYSTEM": "spaces", "SPACE_ID": "ann/lab", "MRPC_OWNER_KEY": KEY},
        **{"SPACE_HOST": "ann-lab.hf.space", "PYTHONPATH": str(STUB), "SPACES_STUB_LOG": str(log)},
        **{"MRPC_GPU_SECONDS": str(LOAN_S), "CPU_CORES": "1"},
    }
    data = (
        "--host",
        "127.0.0.1",
        "--data-dir",
        str(long_data_dir),
        "--checkpoint-dir",
        str(tiny_checkpoint_dir),
    )
    with running_app(tmp_path / "runs", *data, environment=environment) as app:
        wait_until(lambda: bool(app.store.list()))
        (example,) = app.store.list()
        wait_until(lambda: example.read_status().step > 0)  # by itself, on the CPU: lent to nobody
        client = Client(app.url, verbose=False, headers={"Authorization": f"Bearer {KEY}"})
        client.predict(example.run_id, False, api_name="/stop_run")
        app.wait_for_state(example.run_id, "stopped")
        values = {"preset": "course", "checkpoint": f"local:{tiny_checkpoint_dir.name}", "num_epochs": 50}
        asked_at = time.monotonic()
        run_id = client.predict(values, api_name="/start_run")["run_id"]
        run = app.store.open(run_id)
        wait_until(lambda: run.read_status().step > 0)
        training = run.living_process()
        assert training is not None
        training.suspend()  # while its time runs out, it leaves the processor to other tests
        time.sleep(max(0.0, asked_at + LOAN_S - time.monotonic()))
        training.resume()
        app.wait_for_state(run_id, "stopped")
        assert run.is_paused()
        first = run.read_status().step
        assert first > 0
        assert client.predict("One.", "Two.", "", api_name="/inspect_pair")["tokens"]
        assert client.predict(run_id, "He left.", "He went.", api_name="/compare_pair")  # on the CPU
        assert client.predict(run_id, api_name="/resume_run")["run_id"] == run_id
        wait_until(lambda: run.read_status().step > first)
        client.predict(run_id, True, api_name="/stop_run")  # reaches a lent GPU, too
        app.wait_for_state(run_id, "stopped")
        assert not run.is_paused()
        resumed = [event for event in read_events(run.paths.events) if event.type == "resumed"]
        assert [event.step for event in resumed] == [first]
    said = log.read_text().splitlines()
    assert "launch with ['train_slice']" in said
    assert [line for line in said if line.startswith("lent")] == [f"lent {LOAN_S + 20} to a request"] * 2
