"""The loops as text are the files that run; the Trainer's table holds every argument."""

from __future__ import annotations

import ast
import dataclasses
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from transformers import BertForSequenceClassification, TrainingArguments, get_scheduler

import mrpc
from mrpc.app.templates import render
from mrpc.app.train import loops
from mrpc.app.train.accelerate_commands import ask_accelerate
from mrpc.app.train.loops import (
    LoopSource,
    SourceLine,
    arguments_html,
    loop_files,
    read_trainer_report,
    short_loops,
)
from mrpc.app.train.processes import training_command
from mrpc.config import LOOP_HELP
from mrpc.core.model.metrics import new_metric
from mrpc.core.model.trainer_arguments import argument_rows, trainer_arguments
from mrpc.errors import UnavailableError
from mrpc.files import write_model
from mrpc.runs.layout import TrainerReport
from mrpc.training.session import select_loop
from tests.app.train.services import FakeServices
from tests.html import parse
from tests.written_run import create_run

LOOPS_DIR = Path(mrpc.__file__).parent / "training" / "loops"


def test_the_sources_are_the_files_that_run() -> None:
    sources = {source.name: source for source in loop_files()}
    assert list(sources) == ["pytorch", "accelerate", "trainer"]
    for name, source in sources.items():
        text = "\n".join(line.text for line in source.lines if line.mark != "blank")
        file = LOOPS_DIR / f"{name}.py"
        assert text == file.read_text().rstrip("\n")
        assert Path(source.file).name == file.name
        assert Path(select_loop(name).__code__.co_filename) == file
        assert source.limits == LOOP_HELP[name]


def test_a_change_in_a_file_shows_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("pytorch", "accelerate", "trainer"):
        (tmp_path / f"{name}.py").write_text(f"shared = 1\nonly_{name} = 2\nif shared:\n    more = 3\n")
    monkeypatch.setattr("mrpc.app.train.loops.LOOPS_DIR", tmp_path)
    (tmp_path / "accelerate.py").write_text("shared = 1\nif shared:\n    with shared:\n        more = 3\n")
    plain, accelerate, trainer = loop_files()
    assert plain.lines == [
        SourceLine("shared = 1"),
        SourceLine("only_pytorch = 2", "gone"),
        SourceLine("if shared:"),
        SourceLine("", "blank"),
        SourceLine("    more = 3"),
    ]
    assert accelerate.lines == [
        SourceLine("shared = 1"),
        SourceLine("", "blank"),
        SourceLine("if shared:"),
        SourceLine("    with shared:", "new"),
        SourceLine("        more = 3"),
    ]
    assert trainer.lines[1] == SourceLine("only_trainer = 2", "new")


def test_what_makes_the_loops_differ_is_marked() -> None:
    plain, accelerate, trainer = loop_files()
    assert len(plain.lines) == len(accelerate.lines)
    marks = {line.text.strip(): line.mark for line in plain.lines}
    assert marks["loss.backward()"] == "gone"
    assert marks["optimizer.step()"] == "same"
    marks = {line.text.strip(): line.mark for line in accelerate.lines}
    assert marks["accelerator.backward(loss)"] == "new"
    assert marks["optimizer.step()"] == "same"
    assert {line.text: line.mark for line in trainer.lines}["class SessionTrainer(Trainer):"] == "new"


def test_the_sources_are_text_and_marked_without_colour() -> None:
    page = parse(render("train/loop_files.html", loops=loop_files()))
    assert [section.attributes["data-loop"] for section in page.all("section")] == [
        "pytorch",
        "accelerate",
        "trainer",
    ]
    assert "-> None" in page.text
    new = page.all("span", cls="loop-new")[0]
    assert new.one(cls="loop-mark").text == "+"
    assert new.one(cls="unseen").text == "new:"


class TestShortLoops:
    """The loops as the course writes them."""

    def test_they_are_short_and_python(self) -> None:
        for source in short_loops():
            assert 18 <= len(source.lines) <= 27, source.name
            ast.parse(code_of(source))

    def test_what_changes_is_marked_and_explained(self) -> None:
        plain, accelerate, _ = short_loops()
        gone = [line.text.strip() for line in plain.lines if line.mark == "gone"]
        new = {line.text.strip(): line.note for line in accelerate.lines if line.mark == "new"}
        assert "loss.backward()" in gone
        assert "model.to(device)" in gone
        assert "averages gradients" in new["accelerator.backward(loss)"]
        assert new["accelerator = Accelerator()"]

    def test_they_are_what_the_files_that_run_do(self) -> None:
        files = {source.name: "".join(line.text for line in source.lines) for source in loop_files()}
        for call in ("loss.backward()", "optimizer.step()", "scheduler.step()", "optimizer.zero_grad()"):
            assert call in files["pytorch"]
            assert call in code_of(short_loops()[0])
        for call in ("accelerator.backward(loss)", "accelerator.gather_for_metrics"):
            assert call in files["accelerate"]
            assert call in code_of(short_loops()[1])

    @pytest.mark.parametrize("name", ["pytorch", "accelerate"])
    def test_they_run(self, tiny_checkpoint_dir: Path, name: str, capsys: Any) -> None:
        source = next(one for one in short_loops() if one.name == name)
        model = BertForSequenceClassification.from_pretrained(tiny_checkpoint_dir, num_labels=2)
        rows = [
            {"input_ids": torch.randint(5, 50, (6,)), "labels": torch.tensor(row % 2)} for row in range(8)
        ]
        loader = torch.utils.data.DataLoader(rows, batch_size=4)
        metric = SimpleNamespace(load=lambda *names: new_metric())
        names: dict[str, Any] = {
            **{"AdamW": torch.optim.AdamW, "get_scheduler": get_scheduler, "torch": torch},
            **{"evaluate": metric, "Accelerator": partial(Accelerator, cpu=True)},
            **{"model": model, "num_epochs": 1, "train_dataloader": loader, "eval_dataloader": loader},
        }
        before = model.classifier.weight.detach().clone()
        exec(compile(code_of(source), name, "exec"), names)
        assert "accuracy" in capsys.readouterr().out
        assert not torch.equal(before, model.classifier.weight)


def code_of(source: LoopSource) -> str:
    return "\n".join(line.text for line in source.lines) + "\n"


@pytest.mark.parametrize(
    ("machine", "answers", "words"),
    [
        (
            (2, 0, False),
            ["This machine", "No distributed training", "yes", "no", "no", "no"],
            ("no NVIDIA GPU", "Launching training on CPU", "in the notebook’s own process", "torchrun"),
        ),
        (
            (8, 1, True),
            ["This machine", "No distributed training", "no", "no", "no", "all", "no", "bf16"],
            ("1 NVIDIA GPU", "starts runs of the loop accelerate by it"),
        ),
        (
            (8, 4, False),
            ["This machine", "multi-GPU", "1", "no", "no", "no", "no", "no", "4", "all", "no", "bf16"],
            ("4 NVIDIA GPUs", "starts 4 processes by forking", "starts a process for each GPU by itself"),
        ),
    ],
)
def test_accelerate_itself_says_what_it_asks_and_does(
    machine: tuple[int, int, bool], answers: list[str], words: tuple[str, ...]
) -> None:
    num_cores, num_gpus, has_config = machine
    said = ask_accelerate(num_gpus, Path("default_config.yaml") if has_config else None)
    assert [question.answer for question in said.questions] == answers
    assert said.questions[1].text == "Which type of machine are you using?"
    assert "multi-GPU" in said.questions[1].options
    assert "ACCELERATE_MIXED_PRECISION" in said.environment
    distributed = "MULTI_GPU" if num_gpus > 1 else "'NO'"
    assert f"distributed_type: {distributed}" in said.config
    found = {"num_cores": num_cores, "num_gpus": num_gpus, "has_config": has_config}
    shown = parse(render("train/accelerate.html", said=said, **found)).text
    for each in words:
        assert each in shown


def test_an_accelerate_that_does_not_answer_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(UnavailableError, match="could not be asked"):
        ask_accelerate(7, None)


def test_the_table_lists_every_argument_and_marks_those_that_differ(tmp_path: Path) -> None:
    run = create_run(tmp_path, learning_rate=2e-5, seed=7, max_grad_norm=0.5, mixed_precision="bf16")
    rows = {row.name: row for row in loops.trainer_arguments(run)}
    assert set(rows) == {field.name for field in dataclasses.fields(TrainingArguments)}
    changed = {name for name, row in rows.items() if row.is_changed}
    assert changed >= {"learning_rate", "seed", "max_grad_norm", "bf16", "eval_strategy", "save_strategy"}
    assert not changed & {"weight_decay", "adam_beta1", "num_train_epochs", "lr_scheduler_type"}
    assert (rows["learning_rate"].value, rows["learning_rate"].default) == (2e-5, 5e-5)
    assert (rows["max_grad_norm"].value, rows["max_grad_norm"].default) == (0.5, 1.0)
    assert rows["learning_rate"].description


def test_the_table_says_what_trainer_really_gets(tmp_path: Path) -> None:
    values = {
        "learning_rate": 2e-5,
        "warmup_ratio": 0.1,
        "lr_scheduler_type": "cosine",
    }  # as in a cell of the course
    config = create_run(tmp_path, **values).config.hyperparameters
    args = TrainingArguments(str(tmp_path), use_cpu=True, **trainer_arguments(config, num_steps=90))
    for row in argument_rows(config, num_steps=90):
        if row.name in trainer_arguments(config):
            value = getattr(args, row.name)
            assert getattr(value, "value", value) == row.value or row.name == "report_to", row.name
    assert args.warmup_steps == 9
    assert args.lr_scheduler_type == "cosine"


def test_without_a_run_the_table_is_the_courses() -> None:
    values = {row.name: row.value for row in loops.trainer_arguments(None)}
    assert (values["learning_rate"], values["per_device_train_batch_size"]) == (5e-5, 8)


def test_the_table_is_drawn_with_the_differences_first(tmp_path: Path) -> None:
    page = parse(arguments_html(FakeServices(tmp_path), None))
    assert "TrainingArguments of the preset course" in page.text
    first, rest = page.all("table")
    assert "≠ eval_strategy" in [row[0] for row in first.rows()]
    assert "adam_beta1" in [row[0] for row in rest.rows()]
    assert "≠" not in rest.text


@pytest.mark.parametrize("run_id", [None, "", 3, ["x"], "gone", "<b>"])
def test_a_run_that_is_not_there_shows_the_course(tmp_path: Path, run_id: object) -> None:
    assert "the preset course" in arguments_html(FakeServices(tmp_path), run_id)


def test_the_reports_of_trainer_stand_side_by_side(tmp_path: Path) -> None:
    run = create_run(tmp_path, loop="trainer")
    services = FakeServices(tmp_path)
    assert read_trainer_report(run) is None
    assert "no accuracy and no F1" in parse(arguments_html(services, run.run_id)).text
    report = TrainerReport(
        without_compute_metrics={"eval_loss": 0.69}, with_compute_metrics={"eval_loss": 0.7, "eval_f1": 0.8}
    )
    write_model(run.paths.trainer_report, report)
    assert read_trainer_report(run) == report
    table = parse(arguments_html(services, run.run_id)).all("table")[-1]
    assert table.rows() == [["eval_loss", "0.69", "0.7"], ["eval_f1", "not reported", "0.8"]]


class TestLauncher:
    """How the app starts a training."""

    def test_directly_on_a_machine_with_no_gpus(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("mrpc.app.train.processes.accelerate_config_file", lambda: None)
        command = training_command(create_run(tmp_path))
        assert command[1:3] == ["-m", "mrpc.training"]

    def test_by_accelerate_with_the_config_that_it_wrote(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        config = tmp_path / "accelerate" / "default_config.yaml"
        config.parent.mkdir()
        config.write_text("compute_environment: LOCAL_MACHINE\n")
        monkeypatch.setenv("HF_HOME", str(tmp_path))
        run = create_run(tmp_path / "runs")
        command = training_command(run)
        assert command[1:] == [
            *("-m", "accelerate.commands.launch", "-m", "mrpc.training", str(run.paths.run_dir))
        ]
        assert training_command(run, "--evaluate", "test")[2] == "mrpc.training"
        assert training_command(create_run(tmp_path / "runs", loop="trainer"))[2] == "mrpc.training"

    def test_by_accelerate_with_a_process_for_each_gpu(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("mrpc.app.train.processes.accelerate_config_file", lambda: None)
        monkeypatch.setattr("mrpc.app.train.processes.count_gpus", lambda: 4)
        command = training_command(create_run(tmp_path))
        assert command[2:5] == ["accelerate.commands.launch", "--multi_gpu", "--num_processes=4"]
        assert "mrpc.training" in command
