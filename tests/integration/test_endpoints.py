"""The endpoints of the Train tab, asked by gradio_client as a script would."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from mrpc.runs.process import find_process
from mrpc.runs.run import Run
from tests.live_app import LiveApp, wait_until_ended

pytestmark = pytest.mark.integration

SHORT = {
    "preset": "course",
    "checkpoint": "local:tiny-bert",
    "num_train_pairs": 64,
    "num_epochs": 2,
    "learning_rate": 1e-3,
}
LONG = {**SHORT, "num_train_pairs": 0, "num_epochs": 50}


@pytest.fixture(scope="module")
def client(live_app: LiveApp) -> Iterator[Client]:
    client = Client(live_app.url, verbose=False)
    yield client
    client.close()


@pytest.fixture(autouse=True)
def _nothing_trains(live_app: LiveApp) -> Iterator[None]:
    yield
    live_app.end_trainings()


def start(client: Client, config: Any) -> str:
    return client.predict(config, api_name="/start_run")["run_id"]


def status(client: Client, run_id: str) -> dict[str, Any]:
    return client.predict(run_id, api_name="/run_status")


def wait_until_gone(run: Run) -> None:
    """Wait until the process of a run that ended is gone as well."""
    info = run.read_process()
    process = find_process(info) if info else None
    if process is not None:
        wait_until_ended(process)


def refusal(client: Client, *arguments: Any, api_name: str) -> str:
    with pytest.raises(AppError) as caught:
        client.predict(*arguments, api_name=api_name)
    message = str(caught.value)
    assert "Traceback" not in message
    assert 'File "' not in message
    return message


def test_a_run_from_start_to_finish(client: Client, live_app: LiveApp):
    asked_at = time.monotonic()
    run_id = start(client, SHORT)
    assert time.monotonic() - asked_at < 60  # the first start loads the data
    live_app.wait_for_state(run_id, "finished")
    now = status(client, run_id)
    assert now["state"] == "finished"
    assert (now["step"], now["num_steps"]) == (16, 16)
    assert now["epoch"] == pytest.approx(2)
    assert now["error"] is None
    assert [evaluation["epoch"] for evaluation in now["evaluations"]] == [0, 1, 2]
    assert set(now["evaluations"][0]) == {"epoch", "step", "loss", "accuracy", "f1"}
    assert [step for step, _ in now["losses"]] == list(range(1, 17))
    listed = client.predict(api_name="/list_runs")["runs"]
    assert [run["state"] for run in listed if run["run_id"] == run_id] == ["finished"]


def test_one_training_at_a_time_and_stop(client: Client, live_app: LiveApp):
    run_id = start(client, LONG)
    assert run_id in refusal(client, LONG, api_name="/start_run")
    live_app.wait_for_state(run_id, "running")
    deadline = time.monotonic() + 90
    while status(client, run_id)["step"] < 5:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    stopped = client.predict(run_id, True, api_name="/stop_run")
    assert stopped["state"] in {"stopping", "stopped"}
    run = live_app.wait_for_state(run_id, "stopped")
    assert run.has_weights()
    wait_until_gone(run)
    assert "nothing to stop" in refusal(client, run_id, True, api_name="/stop_run")
    assert client.predict(run_id, api_name="/resume_run") == {"run_id": run_id}
    live_app.wait_for_state(run_id, "running")
    client.predict(run_id, False, api_name="/stop_run")
    live_app.wait_for_state(run_id, "stopped")
    deadline = time.monotonic() + 60
    while run.has_weights():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_of_many_starts_one_wins(client: Client, live_app: LiveApp):
    num_before = len(live_app.store.list())

    def try_to_start(_: int) -> str:
        try:
            return start(client, LONG)
        except AppError as error:
            return f"refused: {error}"

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(try_to_start, range(8)))
    winners = [answer for answer in answers if not answer.startswith("refused")]
    assert len(winners) == 1, answers
    assert all(winners[0] in answer for answer in answers)
    assert len(live_app.store.list()) == num_before + 1


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"learning_rat": 1e-3}, "Unknown setting 'learning_rat'"),
        ({"preset": "best"}, "preset is 'best'; allowed: course, recommended, quick"),
        ({"learning_rate": "nan"}, "learning_rate is"),
        ({"learning_rate": "inf"}, "at most 0.01"),
        ({"num_epochs": 2.5}, "num_epochs is 2.5; it must be a whole number"),
        ({"num_epochs": True}, "num_epochs is True"),
        ({"train_batch_size": 0}, "train_batch_size is 0"),
        ({"checkpoint": "../../etc"}, "checkpoint is '../../etc'"),
        ({"seed": "<script>alert(1)</script>"}, "seed is '<script>"),
        ({"data_dir": "/etc"}, "Unknown setting 'data_dir'"),
        ([1], "config is [1]; it must be an object"),
        (None, "config is None; it must be an object"),
    ],
)
def test_bad_settings_are_refused_by_name(client: Client, live_app: LiveApp, config, words):
    num_before = len(live_app.store.list())
    assert words in refusal(client, config, api_name="/start_run")
    assert len(live_app.store.list()) == num_before


@pytest.mark.parametrize("run_id", ["nope", "", "../..", "a" * 500, None, 7, {"a": 1}])
def test_unknown_runs(client: Client, run_id):
    for arguments, api_name in (
        ((run_id,), "/run_status"),
        ((run_id, True), "/stop_run"),
        ((run_id,), "/resume_run"),
    ):
        words = "There is no run" if isinstance(run_id, str) else "it must be text"
        assert words in refusal(client, *arguments, api_name=api_name)


def test_save_must_be_true_or_false(client: Client):
    assert "save is maybe; it must be true or false" in refusal(client, "x", "maybe", api_name="/stop_run")
