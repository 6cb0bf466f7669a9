"""The code of a run: complete, readable, and safe whatever the run's settings hold."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import datasets
import nbformat
import pytest
import torch
import transformers
from packaging.requirements import Requirement
from pydantic import ValidationError

from mrpc.app.train.export import (
    BESIDE,
    CARRIED,
    CODE_FORMS,
    TEMPLATES,
    export_code,
    literal,
    script_metadata,
    write_notebook,
    write_script,
)
from mrpc.config import PRESETS, TrainConfig
from mrpc.core.data.load import keep_odd, load_data
from mrpc.core.model.checkpoint_folder import weights_sha256
from mrpc.core.model.classifier import load_classifier
from mrpc.core.model.metrics import compute_metrics
from mrpc.core.model.pretrained import resolve_pretrained
from mrpc.core.model.recipe import add_shared_words, freeze, learn_shared_words, start_pooler_as_identity
from mrpc.errors import InputError, UnknownRunError
from mrpc.files import write_model
from mrpc.runs.events import FinishedEvent
from mrpc.runs.layout import DataRef, ProcessInfo
from mrpc.runs.run import Run
from mrpc.runs.store import RunStore

ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = ("accelerate", "pytorch", "trainer")
ALLOWED = {
    *("accelerate", "argparse", "datasets", "evaluate", "functools", "math", "numpy", "os", "pathlib"),
    *("torch", "tqdm", "transformers"),
}
MANY = {
    "gradient_accumulation_steps": 4,
    "max_grad_norm": 0.0,
    "max_steps": 7,
    "num_train_pairs": 40,
    "warmup_ratio": 0.1,
    "weight_decay": 0.01,
    "batch_order": "length",
    "both_orders": True,
    "mixed_precision": "bf16",
    "max_length": 64,
    "lr_scheduler_type": "cosine",
}


def make_run(runs_dir: Path, checkpoint_dir: Path | None = None, kind: str = "hub", **settings: Any) -> Run:
    data = DataRef(kind=kind, fingerprint="0123456789abcdef", reason="Written for a test.")
    return RunStore(runs_dir).create(TrainConfig(**settings), data, checkpoint_dir)


def code_of(run: Run, form: str) -> str:
    return export_code(RunStore(run.paths.run_dir.parent).open(run.run_id), form)


def imported(code: str) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module).split(".")[0])
    return names


def used_names(code: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}


@pytest.mark.parametrize("settings", [{}, MANY, PRESETS["recommended"], PRESETS["quick"]], ids=str)
@pytest.mark.parametrize("form", SCRIPTS)
def test_a_script_stands_alone(tmp_path: Path, form: str, settings: dict[str, Any]) -> None:
    code = code_of(make_run(tmp_path, **settings), form)
    assert imported(code) <= ALLOWED
    names = {alias.asname or alias.name.split(".")[0] for alias in _aliases(code)}
    assert names <= used_names(code), "an import that nothing uses"
    assert not [line for line in code.splitlines() if len(line) > 110 or line != line.rstrip()]
    assert "#?" not in code
    assert "#<" not in code
    assert "#%" not in code
    assert "$" not in code
    num_lines = sum(bool(line.strip()) for line in code.splitlines())
    num_metadata = len(script_metadata({}).splitlines())
    assert num_lines - num_metadata <= (175 if settings else 115)


def _aliases(code: str) -> list[ast.alias]:
    nodes = ast.walk(ast.parse(code))
    return [alias for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names]


def test_the_settings_of_the_run_are_in_the_code(tmp_path: Path) -> None:
    settings = {"seed": 77, "num_epochs": 5, "train_batch_size": 12, "learning_rate": 3e-5, **MANY}
    run = make_run(tmp_path, **settings, checkpoint="google-bert/bert-base-cased")
    for form in SCRIPTS:
        code = code_of(run, form)
        for text in (
            *("SEED = 77", "NUM_EPOCHS = 5", "BATCH_SIZE = 12", "LEARNING_RATE = 3e-05"),
            *(
                'CHECKPOINT = "google-bert/bert-base-cased"',
                "max_length=64",
                "[:40]",
                "round(0.1 * num_steps)",
            ),
            *("0.01", "min(num_steps, 7)"),
        ):
            assert text in code, (form, text)
        assert "clip_grad_norm_" not in code
    assert "gradient_accumulation_steps=4" in code_of(run, "accelerate")
    assert 'mixed_precision="bf16"' in code_of(run, "accelerate")
    assert "bf16=True" in code_of(run, "trainer")
    assert 'train_sampling_strategy="group_by_length"' in code_of(run, "trainer")
    assert "mixed precision (bf16)" in code_of(run, "pytorch").partition('"""\n')[0]


SHAPE = {
    "attention_dropout": False,
    "pooler_start": "identity",
    "freeze_word_embeddings": True,
    "freeze_layers": 1,
}


@pytest.mark.parametrize("form", SCRIPTS)
def test_the_code_makes_the_model_that_the_run_began_with(
    tmp_path: Path, tiny_checkpoint_dir: Path, form: str
) -> None:
    code = code_of(make_run(tmp_path, **SHAPE), form)
    (made,) = (
        node
        for node in ast.parse(code).body
        if isinstance(node, ast.FunctionDef) and node.name == "make_model"
    )
    names = ("AutoConfig", "AutoModelForSequenceClassification")
    scope: dict[str, Any] = {"torch": torch, **{name: getattr(transformers, name) for name in names}}
    exec(ast.unparse(made), scope)
    torch.manual_seed(42)
    got = scope["make_model"](str(tiny_checkpoint_dir))
    expected = load_classifier(resolve_pretrained("", tiny_checkpoint_dir), 42, attention_dropout=False).model
    start_pooler_as_identity(expected)
    freeze(expected, word_embeddings=True, num_layers=1)
    assert weights_sha256(got) == weights_sha256(expected)
    assert [p.requires_grad for p in got.parameters()] == [p.requires_grad for p in expected.parameters()]
    assert got.config.attention_probs_dropout_prob == 0.0
    assert "make_model" not in code_of(make_run(tmp_path / "course"), form)


@pytest.mark.parametrize("form", SCRIPTS)
def test_the_code_has_the_second_task_of_the_run(
    tmp_path: Path, tiny_checkpoint_dir: Path, form: str
) -> None:
    code = code_of(make_run(tmp_path, shared_words_weight=0.5), form)
    names = ("make_model", "learn_shared_words")
    made = [node for node in ast.parse(code).body if getattr(node, "name", "") in names]
    assert len(made) == 2
    classes = ("AutoConfig", "AutoModelForSequenceClassification", "AutoTokenizer")
    scope: dict[str, Any] = {"torch": torch, **{name: getattr(transformers, name) for name in classes}}
    exec(compile(ast.Module(made, []), "train.py", "exec"), scope)
    got = scope["make_model"](str(tiny_checkpoint_dir)).train()

    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_checkpoint_dir)
    expected = transformers.AutoModelForSequenceClassification.from_pretrained(tiny_checkpoint_dir)
    task = add_shared_words(expected, tokenizer, 0.5)
    learn_shared_words(expected, task)
    task.dense.load_state_dict(got.shared_words.state_dict())
    expected.classifier.load_state_dict(got.classifier.state_dict())
    for model in (got, expected.train()):
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
    batch = tokenizer(
        ["the bank sold it", "a"], ["it sold the shares", "b c"], padding=True, return_tensors="pt"
    )
    losses = [model(**batch, labels=torch.tensor([1, 0])).loss.item() for model in (got, expected)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
    assert "del " in code
    assert "learn_shared_words" not in code_of(make_run(tmp_path / "course"), form)


def test_the_header_lists_what_is_left_out(tmp_path: Path) -> None:
    course = ast.get_docstring(ast.parse(code_of(make_run(tmp_path), "accelerate")))
    assert course is not None
    assert "within the spread of seeds" not in course
    grouped = ast.get_docstring(ast.parse(code_of(make_run(tmp_path, batch_order="length"), "accelerate")))
    assert grouped is not None
    assert "batches of similar length" in grouped
    assert "within the spread of seeds" in grouped


class LaterConfig(TrainConfig):
    """A config with settings that no template knows."""

    swap_share: float = 0.0
    freeze: bool = False
    pooling: str = "cls"


@pytest.mark.parametrize("form", SCRIPTS)
def test_a_setting_that_no_template_knows_is_listed_as_left_out(tmp_path: Path, form: str) -> None:
    run = make_run(tmp_path)

    def header(**settings: Any) -> str:
        code = write_script(run.config.model_copy(update={"hyperparameters": LaterConfig(**settings)}), form)
        assert imported(code) <= ALLOWED
        return ast.get_docstring(ast.parse(code)) or ""

    assert header() == ast.get_docstring(ast.parse(code_of(run, form)))
    odd = 'a """\\N quote\nimport os'
    listed = header(swap_share=0.5, freeze=True, pooling=odd)
    assert "swap_share = 0.5;" in listed
    assert "freeze = True;" in listed
    assert f"pooling = {odd!r}." in listed
    assert "within the spread of seeds" in listed
    cells = json.loads(
        write_notebook(run.config.model_copy(update={"hyperparameters": LaterConfig(freeze=True)}))
    )["cells"]
    assert "freeze = True." in "".join(cells[0]["source"])


def test_what_counts_as_carried_is_a_setting() -> None:
    assert set(TrainConfig.model_fields) >= CARRIED | BESIDE
    assert not CARRIED & BESIDE


@pytest.mark.parametrize(
    ("predictions", "references"),
    [
        ([0, 0, 0], [1, 0, 1]),
        ([0, 0], [0, 0]),
        ([1, 1], [1, 1]),
        ([1, 1, 0], [0, 0, 0]),
        ([1, 0, 1, 1], [1, 1, 0, 1]),
    ],
    ids=str,
)
def test_the_metric_in_the_code_is_that_of_the_app(
    tmp_path: Path, predictions: list[int], references: list[int]
) -> None:
    tree = ast.parse(code_of(make_run(tmp_path), "accelerate"))
    wanted = [node for node in tree.body if isinstance(node, ast.ClassDef | ast.Import | ast.ImportFrom)]
    names: dict[str, Any] = {}
    exec(compile(ast.Module(wanted, []), "train.py", "exec"), names)
    metric = names["GlueMrpc"](keep_in_memory=True)
    for start in range(0, len(predictions), 2):
        metric.add_batch(predictions=predictions[start : start + 2], references=references[start : start + 2])
    assert metric.compute() == pytest.approx(compute_metrics(predictions, references), abs=1e-12)


def test_the_defaults_are_the_hubs_names(tmp_path: Path) -> None:
    code = code_of(make_run(tmp_path), "accelerate")
    assert 'CHECKPOINT = "sentence-transformers/all-MiniLM-L6-v2"' in code
    assert 'load_dataset("nyu-mll/glue", "mrpc")' in code
    folder = code_of(make_run(tmp_path, kind="folder"), "accelerate")
    assert "Name it with --data-dir." in folder


@pytest.mark.parametrize(
    "name", ["it's", 'a "quote"', 'three"""quotes', "$seed", "new\nline", "back\\slash", "a;import os", "é中"]
)
def test_a_path_enters_as_a_literal(tmp_path: Path, name: str) -> None:
    checkpoint_dir = tmp_path / name
    run = make_run(tmp_path / "runs", checkpoint_dir, checkpoint="local:odd")
    for form in SCRIPTS:
        code = code_of(run, form)
        tree = ast.parse(code)
        assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
        (value,) = [a.value for a in assigned if ast.unparse(a.targets[0]) == "CHECKPOINT"]
        assert ast.literal_eval(value) == str(checkpoint_dir)
        assert imported(code) <= ALLOWED


HOSTILE = [
    '"""\nimport os\nos.system("true")\n"""',
    "'); import os  #",
    "0123456789abcdef\nimport os",
    "{{ 7 * 7 }}{% raw %}",
    "abc\N{RIGHT-TO-LEFT OVERRIDE}x",
    "#%\nimport os",
    "<img src=x onerror=alert(1)>",
    "ABCDEF",
    "",
    "0" * 65,
]


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_a_fingerprint_is_hex_or_the_run_does_not_open(tmp_path: Path, text: str) -> None:
    run = make_run(tmp_path)
    config = json.loads(run.paths.config.read_text())
    for place in ({"fingerprint": text}, {"split_fingerprints": {"train": text}}):
        run.paths.config.write_text(json.dumps({**config, "data": {**config["data"], **place}}))
        with pytest.raises(UnknownRunError):
            code_of(run, "accelerate")
        assert RunStore(tmp_path).foreign()[run.run_id] == "its config.json cannot be understood"


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_a_hash_of_weights_is_hex_or_the_event_is_not_read(text: str) -> None:
    """Files of the run are named by it."""
    with pytest.raises(ValidationError, match="weights_sha256"):
        FinishedEvent(train_s=1, peak_memory_bytes=1, best_epoch=1, weights_sha256={"best": text})


@pytest.mark.parametrize("text", HOSTILE[:-1], ids=repr)
@pytest.mark.parametrize("form", CODE_FORMS)
def test_nothing_of_a_copied_run_is_code(tmp_path: Path, form: str, text: str) -> None:
    """A run's folder from elsewhere, with a text for code in each place that takes one."""
    run = make_run(tmp_path)
    config = json.loads(run.paths.config.read_text())
    config["train"] |= {"checkpoint": text[:200] or "x"}
    config |= {"checkpoint_dir": "/x/" + text, "group": text, "run_id": text}
    config["data"] |= {"data_dir": "/y/" + text, "reason": text}
    run.paths.config.write_text(json.dumps(config))
    started = {"type": "started", "device": text, "encoder_notes": [text], "new_parameters": [text]}
    numbers = ("num_steps", "num_epochs", "num_train_pairs", "num_validation_pairs", "num_threads")
    started |= dict.fromkeys([*numbers, "majority_accuracy", "majority_f1"], 1)
    started |= {"base_weights_sha256": "00", "checkpoint_sha256": text, "max_length": 32}
    run.paths.events.write_text(json.dumps(started) + "\n")
    code = code_of(run, form)
    if form == "notebook":
        notebook = nbformat.reads(code, as_version=4)
        assert not text or text not in notebook.cells[0].source
        code = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    plain = code_of(make_run(tmp_path / "plain", Path("/x")), form)
    if form == "notebook":
        cells = nbformat.reads(plain, as_version=4).cells
        plain = "\n\n".join(cell.source for cell in cells if cell.cell_type == "code")
    assert imported(code) <= ALLOWED
    assert "max_length=32" in code
    calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)}
    known = {ast.unparse(node.func) for node in ast.walk(ast.parse(plain)) if isinstance(node, ast.Call)}
    assert calls - known <= {
        *("make_model", "make_model(checkpoint).to"),
        *("AutoConfig.from_pretrained", "AutoTokenizer.from_pretrained"),
    }


def write_odd(folder: Path, kind: str) -> Path:
    """Write pairs that plain libraries would read otherwise, or not at all, and return where they are."""
    folder.mkdir()
    rows = [(f"Où est {at}?", f'Is "it" {at}?', ("no", "yes")[at % 2]) for at in range(40)]
    if kind == "one file of an office program":
        path = folder / "questions.csv"
        lines = [";".join(("question1", "question2", "is_duplicate")), *map(";".join, rows)]
        path.write_bytes("\r\n".join(lines).encode("cp1252"))
        return path
    if kind == "numbers with a point":
        lines = [json.dumps({"sentence1": a, "sentence2": b, "label": float(c == "yes")}) for a, b, c in rows]
        (folder / "train.jsonl").write_text("\n".join(lines))
    if kind == "raw quotes":
        lines = ["sentence1\tsentence2\tlabel", *(f'"{a}\t{b}\t{int(c == "yes")}' for a, b, c in rows)]
        (folder / "train.tsv").write_text("\n".join(lines))
    if kind == "no validation":
        lines = ["sentence1,sentence2,label", *(f"{a},It {a},{int(c == 'yes')}" for a, _, c in rows)]
        (folder / "train.csv").write_text("\n".join(lines))
    return folder


@pytest.mark.parametrize(
    "kind", ["one file of an office program", "numbers with a point", "raw quotes", "no validation"]
)
def test_the_code_reads_what_the_run_read(tmp_path: Path, kind: str) -> None:
    read = load_data("folder", write_odd(tmp_path / "data", kind))
    kept = keep_odd(read, tmp_path / "runs" / ".data")
    run = RunStore(tmp_path / "runs").create(TrainConfig(), DataRef.model_validate(kept))
    code = code_of(run, "pytorch")
    assert kept.data_dir is not None
    assert f"in .data/{kept.data_dir.name}." in " ".join(code.split())
    assert f"on {kept.name} as run" in " ".join(code.split())
    (made,) = (
        node
        for node in ast.parse(code).body
        if isinstance(node, ast.FunctionDef) and node.name == "load_pairs"
    )
    scope: dict[str, Any] = {"Path": Path, "load_dataset": datasets.load_dataset}
    exec(ast.unparse(made), scope)
    got = scope["load_pairs"](str(kept.data_dir))
    for split in ("train", "validation"):
        assert got[split].to_list() == read.dataset[split].to_list()


def test_plain_data_stays_where_it_is(tmp_path: Path, tiny_data_dir: Path) -> None:
    read = load_data("folder", tiny_data_dir)
    assert keep_odd(read, tmp_path) is read
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", CODE_FORMS)
def test_the_code_computes_in_what_the_run_computed_in(tmp_path: Path, form: str) -> None:
    run = make_run(tmp_path, mixed_precision="auto")
    assert "bf16" not in code_of(run, form)
    started = {"type": "started", "seq": 0, "time": 1.0, "step": 0, "mixed_precision": "bf16"}
    numbers = ("num_steps", "num_epochs", "num_train_pairs", "num_validation_pairs", "num_threads")
    started |= dict.fromkeys(numbers, 1) | {"majority_accuracy": 0.5, "majority_f1": 0.5, "device": "cpu"}
    started |= {"base_weights_sha256": "0", "checkpoint_sha256": "0"}
    run.paths.events.write_text(json.dumps(started) + "\n")
    assert "bf16" in code_of(run, form)


def test_a_template_prints_literals_alone() -> None:
    assert TEMPLATES.from_string("{{ x|literal }}").render(x='a"b\n') == repr('a"b\n')
    with pytest.raises(AssertionError, match="without the filter"):
        TEMPLATES.from_string("{{ x }}").render(x="import os")


@pytest.mark.parametrize("value", [*HOSTILE, "it's", "a/b c", 1.5, 3, True, "\x00\ud800", "é中"], ids=repr)
def test_a_literal_is_the_value(value: Any) -> None:
    written = literal(value)
    assert ast.literal_eval(written) == value
    assert written.isprintable()


@pytest.mark.parametrize("form", SCRIPTS)
def test_a_script_says_what_to_install(tmp_path: Path, form: str) -> None:
    code = code_of(make_run(tmp_path), form)
    (block,) = re.findall(r"(?m)^# /// script\n((?:#(?: .*)?\n)+?)# ///$", code)
    metadata = tomllib.loads("".join(line[2:] + "\n" for line in block.splitlines()))
    assert metadata["requires-python"] == ">=3.11"
    asked = {Requirement(text).name: str(Requirement(text).specifier) for text in metadata["dependencies"]}
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    ours = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert asked == {one.name: str(one.specifier) for one in ours if one.name in asked}
    assert imported(code) - set(sys.stdlib_module_names) <= set(asked)


def test_a_script_asks_for_the_versions_that_trained_the_run(tmp_path: Path) -> None:
    here = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "accelerate")}
    recorded = {**here, "torch": "2.13.0+cpu", "numpy": '1",\n# evil', "datasets": "5.2.0rc1"}
    run = make_run(tmp_path)
    process = ProcessInfo(
        pid=1, started_at=1.0, boot_id="", process_group=1, attempt=1, command=[], versions=recorded
    )
    write_model(run.paths.process, process)
    for form in SCRIPTS:
        code = code_of(run, form)
        (block,) = re.findall(r"(?m)^# /// script\n((?:#(?: .*)?\n)+?)# ///$", code)
        metadata = tomllib.loads("".join(line[2:] + "\n" for line in block.splitlines()))
        asked = {
            Requirement(text).name: str(Requirement(text).specifier) for text in metadata["dependencies"]
        }
        assert asked["torch"] == "==2.13.0"
        assert asked["transformers"] == f"=={here['transformers']}"
        assert asked["accelerate"] == f"=={here['accelerate']}"
        assert asked["datasets"] == "==5.2.0rc1"
        assert set(asked["numpy"].split(",")) == {">=2", "<3"}
        assert "evil" not in code


@pytest.mark.parametrize("settings", [{}, MANY], ids=["course", "many"])
def test_the_notebook_is_one_that_jupyter_takes(tmp_path: Path, settings: dict[str, Any]) -> None:
    text = code_of(make_run(tmp_path, **settings), "notebook")
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert notebook.cells[0].cell_type == "markdown"
    assert notebook.cells[-1].source == "notebook_launcher(training_function)"
    code = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert imported(code) <= ALLOWED
    assert "argparse" not in code
    assert 'os.environ.get("DATA_DIR")' in code
    assert json.loads(text)["nbformat"] == 4


def test_what_does_not_exist_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    assert set(CODE_FORMS) == {*SCRIPTS, "notebook"}
    for form in ("tensorflow", "", "../main", None, 3, ["accelerate"]):
        with pytest.raises(InputError, match="form is"):
            export_code(run, form)  # type: ignore[arg-type]
