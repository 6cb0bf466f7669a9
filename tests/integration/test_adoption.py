"""The app may die: the training goes on, and the next app knows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from gradio_client import Client

from mrpc.runs.run import RunState
from mrpc.runs.store import RunStore
from tests.live_app import running_app, wait_until

pytestmark = pytest.mark.integration

CONFIG = {
    "preset": "course",
    "checkpoint": "local:tiny-bert",
    "num_epochs": 50,
    "learning_rate": 1e-3,
}


def test_a_training_outlives_its_app_and_the_next_one_adopts_it(
    tmp_path: Path, long_data_dir: Path, tiny_checkpoint_dir: Path
) -> None:
    arguments = ("--data-dir", str(long_data_dir), "--checkpoint-dir", str(tiny_checkpoint_dir))
    with running_app(tmp_path, *arguments) as first:
        client = Client(first.url, verbose=False)
        run_id = client.predict(CONFIG, api_name="/start_run")["run_id"]
        client.close()
        first.process.kill()
        first.process.wait(10)
        run = RunStore(tmp_path).open(run_id)
        wait_until(lambda: run.read_status().step > 10)
        assert run.state() is RunState.RUNNING
        with running_app(tmp_path, *arguments) as second:
            client = Client(second.url, verbose=False)
            status = client.predict(run_id, api_name="/run_status")
            assert status["state"] == "running"
            client.predict(run_id, True, api_name="/stop_run")
            wait_until(lambda: run.state() is RunState.STOPPED)
            client.close()
