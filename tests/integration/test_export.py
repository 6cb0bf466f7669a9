"""The code of a run, run as written: it gives the run's own weights and scores."""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from safetensors.torch import load_file

from mrpc.app.train.export import export_code
from mrpc.runs.run import Run
from tests.training.in_process import evaluations, forget_accelerator, make_run, steps, train_here

pytestmark = [pytest.mark.integration, pytest.mark.slow]

COURSE = {"num_train_pairs": 61, "num_epochs": 2, "learning_rate": 1e-3, "seed": 5}
"""The course's recipe on few pairs, with a learning rate at which the tiny model moves."""

MORE = {
    "num_train_pairs": 45,
    "num_epochs": 3,
    "train_batch_size": 4,
    "gradient_accumulation_steps": 2,
    "max_steps": 14,
    "warmup_ratio": 0.2,
    "weight_decay": 0.1,
    "max_grad_norm": 0.5,
    "learning_rate": 1e-3,
    "lr_scheduler_type": "cosine",
    "max_length": 20,
    "both_orders": True,
    "seed": 8,
}
"""Everything else that plain libraries express exactly."""


@pytest.fixture(scope="module")
def course_runs(
    tmp_path_factory: pytest.TempPathFactory, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("runs")
    return {
        loop: train_here(make_run(folder, tiny_data_dir, tiny_checkpoint_dir, loop=loop, **COURSE))
        for loop in ("accelerate", "trainer")
    }


def export(run: Run, form: str) -> str:
    return export_code(run, form)


TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


def write_script(folder: Path, run: Run, form: str) -> list[str]:
    """Write ``train.py`` into an empty folder and return its command line; the model goes to ``model``."""
    folder.mkdir(exist_ok=True)
    (folder / "train.py").write_text(export(run, form), encoding="utf-8")
    folders = ("--checkpoint", str(run.config.checkpoint_dir), "--data-dir", str(run.config.data.data_dir))
    return ["train.py", *folders, "--output-dir", "model"]


def run_script_here(folder: Path, run: Run, form: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run ``train.py`` in this process, which has imported the libraries, and return what it printed."""
    monkeypatch.setattr(sys, "argv", write_script(folder, run, form))
    monkeypatch.chdir(folder)
    forget_accelerator()
    with contextlib.redirect_stdout(io.StringIO()) as printed, warnings.catch_warnings():
        warnings.simplefilter("default")  # as in a process of its own
        runpy.run_path("train.py", run_name="__main__")
    return printed.getvalue()


def run_script(folder: Path, run: Run, form: str, *launcher: str, **environment: str) -> str:
    """Run ``train.py`` in a process of its own, and return what it printed."""
    done = subprocess.run(
        [sys.executable, *launcher, *write_script(folder, run, form)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if form != "trainer" and not environment:
        num_steps = len(steps(run))
        assert f"{num_steps}/{num_steps} [" in done.stderr, "the progress bar"
    return done.stdout


def assert_same_weights(folder: Path, run: Run) -> None:
    ours, theirs = (
        load_file(path / "model.safetensors") for path in (run.paths.last_model, folder / "model")
    )
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert (tensor - theirs[name]).abs().max() <= 1e-6, name


def assert_same_numbers(printed: str, run: Run) -> None:
    """Compare the losses and scores that the plain and the Accelerate form print."""
    losses = {step: float(loss) for step, loss in re.findall(r"step (\d+): loss ([\d.]+)", printed)}
    expected = {str(step.step): step.loss for step in steps(run) if step.step % 10 == 0 or step.step == 1}
    if run.config.hyperparameters.gradient_accumulation_steps == 1:
        assert losses == pytest.approx(expected, abs=1e-6)
    assert losses.keys() == expected.keys()
    shown = re.findall(r"epoch (\d+): \{'accuracy': ([\d.]+), 'f1': ([\d.]+)\}", printed)
    assert [(int(epoch), float(accuracy), float(f1)) for epoch, accuracy, f1 in shown] == [
        (e.epoch, pytest.approx(e.accuracy), pytest.approx(e.f1)) for e in evaluations(run)[1:]
    ]


@pytest.mark.parametrize(
    ("form", "launcher"),
    [
        ("pytorch", ()),
        ("accelerate", ()),
        ("accelerate", ("-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1")),
    ],
    ids=["pytorch", "accelerate", "accelerate launch"],
)
def test_the_plain_forms_repeat_a_course_run(
    tmp_path: Path, course_runs: dict[str, Run], form: str, launcher: tuple[str, ...]
) -> None:
    run = course_runs["accelerate"]
    printed = run_script(tmp_path, run, form, *launcher)
    assert_same_numbers(printed, run)
    assert_same_weights(tmp_path, run)


def test_the_accelerate_form_trains_on_two_processes(tmp_path: Path, course_runs: dict[str, Run]) -> None:
    """Each takes a batch of the course's size, as the course's own loop does: half as many steps."""
    run = course_runs["accelerate"]
    printed = run_script(tmp_path, run, "accelerate", *TORCHRUN, ACCELERATE_USE_CPU="true")
    assert re.findall(r"step (\d+): loss", printed) == ["1"]
    assert re.findall(r"epoch (\d+): \{'accuracy'", printed) == ["1", "2"]
    weights = load_file(tmp_path / "model" / "model.safetensors")
    assert weights.keys() == load_file(run.paths.last_model / "model.safetensors").keys()
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_the_trainer_form_repeats_a_course_run_of_the_trainer_loop(
    tmp_path: Path, course_runs: dict[str, Run]
) -> None:
    run = course_runs["trainer"]
    printed = run_script(tmp_path, run, "trainer")
    shown = re.findall(r"'eval_accuracy': '?([\d.]+)'?, 'eval_f1': '?([\d.]+)", printed)
    assert [(float(accuracy), float(f1)) for accuracy, f1 in shown] == [
        (pytest.approx(e.accuracy, abs=1e-4), pytest.approx(e.f1, abs=1e-4)) for e in evaluations(run)[1:]
    ]
    assert_same_weights(tmp_path, run)


def test_the_notebook_repeats_a_course_run(
    tmp_path: Path, course_runs: dict[str, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = course_runs["accelerate"]
    for name, value in (
        ("CHECKPOINT", run.config.checkpoint_dir),
        ("DATA_DIR", run.config.data.data_dir),
        ("OMP_NUM_THREADS", "1"),
        ("IPYTHONDIR", tmp_path / "ipython"),
    ):
        monkeypatch.setenv(name, str(value))
    notebook = nbformat.reads(export(run, "notebook"), as_version=4)
    NotebookClient(notebook, timeout=400, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells[1:] for output in cell.outputs]
    printed = "".join(output.text for output in outputs if output.get("name") == "stdout")
    assert_same_numbers(printed, run)


@pytest.fixture(scope="module")
def run_of_more(
    tmp_path_factory: pytest.TempPathFactory, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> Run:
    folder = tmp_path_factory.mktemp("runs")
    return train_here(make_run(folder, tiny_data_dir, tiny_checkpoint_dir, loop="accelerate", **MORE))


@pytest.mark.parametrize("form", ["pytorch", "accelerate", "trainer"])
def test_every_setting_that_is_carried_is_carried_exactly(
    tmp_path: Path, run_of_more: Run, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(steps(run_of_more)) == 14
    printed = run_script_here(tmp_path, run_of_more, form, monkeypatch)
    if form != "trainer":
        assert_same_numbers(printed, run_of_more)
    assert_same_weights(tmp_path, run_of_more)


@pytest.mark.parametrize("form", ["pytorch", "accelerate", "trainer"])
def test_batches_of_similar_length_run_too(
    tmp_path: Path, tiny_data_dir: Path, tiny_checkpoint_dir: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    values: dict[str, Any] = {"preset": "recommended", "num_epochs": 1, "max_steps": 3}
    run = make_run(tmp_path / "runs", tiny_data_dir, tiny_checkpoint_dir, **values)
    printed = run_script_here(tmp_path / "out", run, form, monkeypatch)
    assert "accuracy" in printed


def test_a_folder_of_csv_files_is_read_as_well(
    tmp_path: Path, course_runs: dict[str, Run], tiny_data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets import load_dataset

    for split in ("train", "validation"):
        rows = load_dataset("json", data_files=str(tiny_data_dir / f"{split}.jsonl"), split="train")
        (tmp_path / "data").mkdir(exist_ok=True)
        rows.to_csv(tmp_path / "data" / f"{split}.csv")
    run = course_runs["accelerate"]
    data = run.config.data.model_copy(update={"data_dir": tmp_path / "data"})
    moved = Run(run.paths, run.config.model_copy(update={"data": data}))
    assert_same_numbers(run_script_here(tmp_path / "out", moved, "pytorch", monkeypatch), run)
