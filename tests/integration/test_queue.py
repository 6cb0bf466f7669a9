"""Runs that wait for their turn, asked for as a script would."""

from __future__ import annotations

import signal
import time

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from mrpc.runs.queue import RunQueue
from tests.live_app import LiveApp, running_app

pytestmark = pytest.mark.integration

SHORT = {
    "preset": "course",
    "checkpoint": "local:tiny-bert",
    "num_train_pairs": 64,
    "num_epochs": 1,
    "learning_rate": 1e-3,
}


def test_runs_train_one_after_another(live_app: LiveApp):
    client = Client(live_app.url, verbose=False)
    ids = [client.predict({**SHORT, "seed": s}, api_name="/queue_run")["run_id"] for s in (1, 2)]
    alive_together = 0
    deadline = time.monotonic() + 300
    states: dict[str, str] = {}
    while set(states.values()) != {"finished"}:
        assert time.monotonic() < deadline, states
        states = {run_id: str(live_app.store.open(run_id).state()) for run_id in ids}
        alive = [state for state in states.values() if state in {"starting", "running"}]
        alive_together = max(alive_together, len(alive))
        time.sleep(0.05)
    assert alive_together <= 1
    runs = [live_app.store.open(run_id) for run_id in ids]
    processes = [run.read_process() for run in runs]
    starts = [process.started_at for process in processes if process]
    assert starts == sorted(starts)
    assert RunQueue(live_app.runs_dir).read() == []
    client.close()


@pytest.mark.parametrize("config", [None, [1], {"seed": -1}, {"learning_rat": 1}])
def test_bad_settings_do_not_queue(live_app: LiveApp, config):
    client = Client(live_app.url, verbose=False)
    num_before = len(live_app.store.list())
    with pytest.raises(AppError, match=r"must be|Unknown setting"):
        client.predict(config, api_name="/queue_run")
    assert len(live_app.store.list()) == num_before
    client.close()


def test_the_queue_waits_for_an_app_and_the_training_goes_on_without(
    tmp_path, long_data_dir, tiny_checkpoint_dir
):
    arguments = ("--data-dir", str(long_data_dir), "--checkpoint-dir", str(tiny_checkpoint_dir))
    long = {**SHORT, "num_train_pairs": 0, "num_epochs": 50}
    with running_app(tmp_path, *arguments) as app:
        client = Client(app.url, verbose=False)
        running = client.predict(long, api_name="/start_run")["run_id"]
        waiting = client.predict(SHORT, api_name="/queue_run")["run_id"]
        client.close()
        app.process.send_signal(signal.SIGINT)
        said, _ = app.process.communicate(timeout=120)
        assert f"{running} goes on" in said
        assert app.store.open(running).state() in {"starting", "running"}
        assert app.store.open(waiting).state() == "queued"
        with running_app(tmp_path, *arguments) as again:  # adopts both
            client = Client(again.url, verbose=False)
            assert client.predict(running, api_name="/run_status")["state"] in {"starting", "running"}
            assert app.store.open(waiting).state() == "queued"
            client.predict(running, False, api_name="/stop_run")
            again.wait_for_state(running, "stopped")
            again.wait_for_state(waiting, "finished")
            client.close()
