"""The downloads of a run: its model, and its record with the command that trains the same again."""

from __future__ import annotations

import csv
import io
import shlex
import zipfile
from pathlib import Path

import pytest

from mrpc.app.train.take_away import bundle, reproduce_command, zip_model
from mrpc.runs import events as ev
from tests.written_run import write_ended, write_events


def test_a_packed_model_holds_no_links(tmp_path: Path) -> None:
    run = write_ended(tmp_path)
    (run.paths.best_model / "link").symlink_to("/etc/hostname")
    with zipfile.ZipFile(zip_model(run, tmp_path / "cache")) as archive:
        names = archive.namelist()
        assert archive.read(f"{run.run_id}-best/model.safetensors") == b"weights"
    assert zip_model(run, tmp_path / "cache") == zip_model(run, tmp_path / "cache"), "made once"
    assert names == [f"{run.run_id}-best/config.json", f"{run.run_id}-best/model.safetensors"]


class TestBundle:
    def test_holds_the_record_and_no_weights(self, tmp_path):
        run = write_ended(tmp_path / "runs")
        run.paths.predictions.mkdir()
        (run.paths.predictions / "validation-epoch-000.parquet").write_bytes(b"rows")
        (run.paths.predictions / "link.parquet").symlink_to("/etc/hostname")
        with zipfile.ZipFile(bundle(run, tmp_path / "cache")) as archive:
            assert sorted(archive.namelist()) == [
                "config.json",
                "events.csv",
                "predictions/validation-epoch-000.parquet",
                "reproduce.sh",
                "versions.json",
            ]
            assert b"python -m mrpc.training" in archive.read("reproduce.sh")

    @pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
    def test_no_cell_is_a_formula(self, tmp_path, start):
        run = write_ended(tmp_path / "runs")
        write_events(run, [ev.WarningEvent(step=90, message=f"{start}HYPERLINK(0)")])
        write_events(run, [ev.NonFiniteEvent(step=90, what="loss", value="-inf")])
        with zipfile.ZipFile(bundle(run, tmp_path / "cache")) as archive:
            rows = list(csv.DictReader(io.StringIO(archive.read("events.csv").decode(), newline="")))
        assert rows[-2]["message"] == f"'{start}HYPERLINK(0)"
        assert rows[-1]["value"] == "'-inf"
        assert rows[0]["num_steps"] == "90"

    def test_the_command_gives_the_same_settings(self, tmp_path):
        run = write_ended(tmp_path / "runs", learning_rate=3e-4, seed=9)
        words = shlex.split(reproduce_command(run))
        assert words[:3] == ["python", "-m", "mrpc.training"]
        flags = dict(zip(words[3::2], words[4::2], strict=True))
        assert flags["--learning-rate"] == "0.0003"
        assert flags["--seed"] == "9"
