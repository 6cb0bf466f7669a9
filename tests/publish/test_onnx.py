"""A run as ONNX: it answers as torch does, is a side in Compare, and is published with the model."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mrpc.app.compare.comparisons import Comparisons
from mrpc.app.task import Task
from mrpc.app.train.take_away import export_in_process, zip_onnx
from mrpc.core.data.load import LoadedData, load_data
from mrpc.errors import BusyError, InputError, RunStateError, TaskCancelled, UnavailableError
from mrpc.publish import onnx as publish_onnx
from mrpc.publish.onnx import FILES, export_run, read_export
from mrpc.publish.upload import write_model_folder
from mrpc.runs.process import hold
from mrpc.runs.run import Run
from mrpc.runs.store import RunStore
from mrpc.settings import Settings
from tests.finished_run import make_finished_run

for name in publish_onnx.PACKAGES:
    pytest.importorskip(name, reason="needs the optional packages of requirements/onnx.txt")

# What torch's exporter and its libraries say to their developers.
pytestmark = pytest.mark.filterwarnings("default")

ROOT = Path(__file__).resolve().parents[2]
PAIR = ("the mayor closed two roads", "two roads were closed by the mayor")


@pytest.fixture(scope="module")
def data(tiny_data_dir: Path) -> LoadedData:
    return load_data("folder", tiny_data_dir)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, data: LoadedData, tiny_checkpoint_dir: Path) -> Run:
    """A finished run of the tiny BERT, exported."""
    made = make_finished_run(tmp_path_factory.mktemp("runs"), data, tiny_checkpoint_dir)
    export_run(made)
    return made


@pytest.fixture
def comparisons(run: Run, data: LoadedData) -> Comparisons:
    store = RunStore(run.paths.run_dir.parent)
    return Comparisons(store, lambda: data, Settings(runs_dir=run.paths.run_dir.parent))


def test_float32_answers_as_torch_does_at_all_lengths(run: Run) -> None:
    export = read_export(run)
    assert export is not None
    assert export.lengths == [8, 16, 32, 64, 128]
    assert export.files["onnx"].max_difference < 1e-4
    assert 0 < export.files["int8"].max_difference < 1
    assert min(export.torch_ms_per_pair, *(file.ms_per_pair for file in export.files.values())) > 0
    assert export.files["int8"].num_bytes < export.files["onnx"].num_bytes
    assert not list(run.paths.derived.glob(".onnx.*"))


def test_what_int8_costs_is_a_comparison(run: Run, comparisons: Comparisons) -> None:
    names = [side.name for side in comparisons.catalog.sides_of(run)]
    assert [f"{run.run_id}:onnx", f"{run.run_id}:int8"] == names[3:5]
    exact = comparisons.compare(f"{run.run_id}:best", f"{run.run_id}:onnx").scores
    logits = exact.sides.map(lambda side: side.answers.logits)
    assert np.abs(logits.first - logits.second).max() < 1e-4
    scores = comparisons.compare(f"{run.run_id}:best", f"{run.run_id}:int8").scores.as_dict()
    assert "mcnemar" in str(scores).lower()
    answers = comparisons.answer_pair(f"{run.run_id}:best", f"{run.run_id}:int8", *PAIR)
    assert answers.first.side.weights_sha256 != answers.second.side.weights_sha256
    assert abs(answers.first.prob_equivalent - answers.second.prob_equivalent) < 0.2
    assert answers.second.latency_ms > 0


def test_nobody_looks_into_an_exported_model(run: Run, comparisons: Comparisons) -> None:
    side = comparisons.catalog.find(f"{run.run_id}:int8")
    explanations = comparisons.explanations
    pair = comparisons.look_at(f"{run.run_id}:best", side.name, *PAIR)[1]
    assert explanations.layers_and_heads(side) == (0, 0)
    (attribution,) = explanations.attribute(side, pair)
    assert attribution.attribution is None
    with pytest.raises(UnavailableError, match="no layers"):
        explanations.find_nearest(side, pair)


def test_an_export_of_other_weights_is_no_side(run: Run, comparisons: Comparisons, tmp_path: Path) -> None:
    copy = shutil.copytree(run.paths.run_dir, tmp_path / "runs" / run.run_id)
    store = RunStore(copy.parent)
    comparisons = Comparisons(store, lambda: None, Settings(runs_dir=copy.parent))
    copied = store.open(run.run_id)
    file = copied.paths.onnx / FILES["int8"]
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(RunStateError, match="not those that the run recorded"):
        comparisons.answer_pair(f"{run.run_id}:best", f"{run.run_id}:int8", *PAIR)
    report = copied.paths.onnx / publish_onnx.REPORT
    export = read_export(copied)
    assert export is not None
    report.write_text(export.model_copy(update={"weights_sha256": "0" * 64}).model_dump_json())
    with pytest.raises(InputError, match="Export it again"):
        comparisons.catalog.find(f"{run.run_id}:int8")
    shutil.rmtree(copied.paths.onnx)
    with pytest.raises(InputError, match="was not exported"):
        comparisons.catalog.find(f"{run.run_id}:int8")
    with pytest.raises(RunStateError, match="was not exported"):
        zip_onnx(copied, tmp_path)


def test_taken_away_and_published_as_transformers_js_reads_it(run: Run, tmp_path: Path) -> None:
    with zipfile.ZipFile(zip_onnx(run, tmp_path / "cache")) as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}
    assert {"config.json", "tokenizer.json", "onnx/model.onnx", "onnx/model_quantized.onnx"} <= names
    assert "model.safetensors" not in names
    write_model_folder(run, "ann/tiny", tmp_path / "model", behavior=[])
    assert (tmp_path / "model" / "onnx" / "model_quantized.onnx").is_file()
    card = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert "`onnx/model_quantized.onnx`" in card
    assert "transformers.js" in card


def test_two_exports_at_once_and_one_without_a_model(run: Run, tmp_path: Path, data: LoadedData) -> None:
    with hold(run.paths.derived / "onnx.lock"), pytest.raises(BusyError):
        export_run(run)
    copy = shutil.copytree(run.paths.run_dir, tmp_path / "runs" / run.run_id)
    shutil.rmtree(copy / "models")
    with pytest.raises(RunStateError, match="no fine-tuned weights"):
        export_run(RunStore(copy.parent).open(run.run_id))


def test_without_the_packages_the_pip_line_is_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mrpc.publish.onnx.find_spec", lambda name: None)
    with pytest.raises(UnavailableError, match=r"pip install -r requirements/onnx\.txt"):
        export_run(run)


@pytest.mark.integration
@pytest.mark.slow
def test_as_the_page_does_it(run: Run, tmp_path: Path) -> None:
    copy = shutil.copytree(run.paths.run_dir, tmp_path / "runs" / run.run_id)
    copied = RunStore(copy.parent).open(run.run_id)
    shutil.rmtree(copied.paths.onnx)
    task = Task()
    export = export_in_process(copied, task)
    assert export.weights_sha256 == read_export(run).weights_sha256
    task.cancel()
    with pytest.raises(TaskCancelled):
        export_in_process(copied, task)
    assert read_export(copied) == export


@pytest.mark.integration
@pytest.mark.slow
def test_from_a_shell(run: Run, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mrpc.publish.onnx"]
    missing = subprocess.run(
        [*command, str(tmp_path / "no-run")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert missing.returncode == 1
    assert "Traceback" not in missing.stderr
    done = subprocess.run(
        [*command, str(run.paths.run_dir), "--out", str(tmp_path / "out")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "model_quantized.onnx" in done.stdout
    assert f"{run.run_id}:int8" in done.stdout
    assert (tmp_path / "out" / "onnx" / "model.onnx").is_file()
