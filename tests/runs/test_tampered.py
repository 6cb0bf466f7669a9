"""Whatever lies in the place of a run's files: the list goes on, nothing waits, nothing outside is read."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mrpc.app.train.runs import read_log_tail, run_status
from mrpc.errors import MrpcError, UnknownRunError
from mrpc.runs.layout import RUN_FOLDERS
from mrpc.runs.run import Run, RunState
from mrpc.runs.store import RunStore
from tests.written_run import write_ended

FILES = (
    *("config.json", "process.json", "evaluation.json", "status.json", "events.jsonl", "label.json"),
    *("control/stop.json", "control/probes.json", "training.log", "trainer.json", "train.lock"),
    "evaluation.lock",
)
SECRET = "the secret of another folder"


def put_fifo(path: Path, outside: Path) -> None:
    os.mkfifo(path)


def put_link(path: Path, outside: Path) -> None:
    """A link to the same file of another run, whose name is a secret."""
    path.symlink_to(outside)


def put_link_to_fifo(path: Path, outside: Path) -> None:
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


def put_loop(path: Path, outside: Path) -> None:
    path.symlink_to(path.name)


def put_folder(path: Path, outside: Path) -> None:
    path.mkdir()


def put_large(path: Path, outside: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100_000_000)


def put_device(path: Path, outside: Path) -> None:
    path.symlink_to("/dev/zero")


def put_bytes(content: bytes) -> Callable[[Path, Path], None]:
    def put(path: Path, outside: Path) -> None:
        path.write_bytes(content)

    return put


KINDS: dict[str, Callable[[Path, Path], None]] = {
    "a FIFO": put_fifo,
    "a link out": put_link,
    "a link to a FIFO": put_link_to_fifo,
    "a link to itself": put_loop,
    "a folder": put_folder,
    "100 MB": put_large,
    "a device": put_device,
    "nothing": put_bytes(b""),
    "a list": put_bytes(b"[1, 2, 3]\n"),
    "a number": put_bytes(b"1e999\n"),
    "no UTF-8": put_bytes(b"\xff\xfe\x00{}\n"),
    "depth": put_bytes(b"[" * 100_000 + b"\n"),
    "types": put_bytes(
        json.dumps({"pid": "x", "type": 3, "step": [], "run_id": [], "updated_at": {}}).encode() + b"\n"
    ),
}


def look_at(store: RunStore, run_id: str) -> str:
    """Read everything that the list and the page of a run read; return all of it as text."""
    seen: list[Any] = [store.foreign()]
    holder = store.holder()
    seen.append(holder and holder.run_id)
    for run in store.list():
        seen += [
            run.run_id,
            run.state(),
            run.read_status(),
            run.read_label(),
            run.error(),
            run.is_evaluated(),
        ]
        seen += [run.read_stop_request(1), run.has_weights(), run.is_evaluated()]
    for read in (lambda: run_status(store, run_id), lambda: read_log_tail(store.open(run_id))):
        try:
            seen.append(read())
        except MrpcError as error:
            seen.append(str(error))
    return repr(seen)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FILES)
def test_the_list_and_the_page_go_on(tmp_path: Path, name: str, kind: str) -> None:
    store = RunStore(tmp_path / "runs")
    other = write_ended(store.runs_dir)
    run = write_ended(store.runs_dir)
    outside = tmp_path / "outside"
    outside.write_text(json.dumps({"name": SECRET, "error": SECRET, "phase": SECRET}) + "\n")
    path = run.paths.run_dir / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    KINDS[kind](path, outside)
    began_at = time.monotonic()
    seen = look_at(store, run.run_id)
    assert time.monotonic() - began_at < 60
    assert other.run_id in [found.run_id for found in store.list()]
    assert other.state() is RunState.FINISHED
    assert SECRET not in seen
    if name == "config.json":
        assert run.run_id in store.foreign()
        with pytest.raises(UnknownRunError):
            store.open(run.run_id)
    shutil.rmtree(run.paths.run_dir)


@pytest.mark.parametrize("name", RUN_FOLDERS)
def test_a_folder_that_leads_out_is_not_followed(tmp_path: Path, name: str) -> None:
    store = RunStore(tmp_path / "runs")
    run = write_ended(store.runs_dir)
    (tmp_path / "outside").mkdir()
    path = run.paths.run_dir / name
    path.parent.mkdir(exist_ok=True)
    shutil.rmtree(path, ignore_errors=True)
    path.symlink_to(tmp_path / "outside")
    assert store.list() == []
    assert f"its folder {name} is a link, not followed" in store.foreign()[run.run_id]


NOT_FINITE = (float("nan"), float("inf"), -float("inf"), 1e300)


@pytest.mark.parametrize("value", NOT_FINITE, ids=str)
@pytest.mark.parametrize("field", ["updated_at", "train_s", "epoch", "best_f1", "tokens_per_s"])
def test_a_status_that_is_not_finite_is_none(tmp_path: Path, field: str, value: float) -> None:
    run = write_ended(tmp_path)
    status = json.loads(run.paths.status.read_text())
    run.paths.status.write_text(json.dumps({**status, field: value}))
    read = getattr(run.read_status(), field)
    assert read is None or abs(read) <= 1e300
    assert read is None or read == read
    assert run.state() is RunState.FINISHED


@pytest.mark.parametrize("value", [*NOT_FINITE, -1.0], ids=str)
def test_a_run_of_no_time_is_none(tmp_path: Path, value: float) -> None:
    run = write_ended(tmp_path)
    config = json.loads(run.paths.config.read_text())
    run.paths.config.write_text(json.dumps({**config, "created_at": value}))
    assert RunStore(tmp_path).list() == []


@pytest.mark.parametrize("pid", [0, -1, 2**31, 10**30])
def test_a_pid_that_is_none_is_nobody(tmp_path: Path, pid: int) -> None:
    run: Run = write_ended(tmp_path)
    process = json.loads(run.paths.process.read_text()) if run.paths.process.exists() else {}
    fields = {"started_at": 1.0, "boot_id": "x", "process_group": 1, "attempt": 1}
    run.paths.process.write_text(json.dumps({**fields, "command": [], "versions": {}, **process, "pid": pid}))
    assert run.living_process() is None
    assert not run.is_trained()
