"""Write the code of a run: from the templates beside this module and the run's own settings.

A template is the script itself with three kinds of marks. ``$name`` is replaced by a setting; a line that
ends in ``#? flag`` or ``#? not flag`` stays only where that holds; ``#< file`` takes in another template.
``#%`` begins a new cell of the notebook. What comes from outside (names, paths) enters as a Python literal.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import Template
from typing import Any

from mrpc.config import DEFAULT_CHECKPOINT, TrainConfig
from mrpc.core.model.pretrained import BUNDLED_REPO_ID, PRETRAINED
from mrpc.errors import InputError
from mrpc.runs.layout import RunConfig
from mrpc.runs.store import RunStore

FORMS = {
    "accelerate": "Accelerate, as train.py",
    "pytorch": "Plain PyTorch, as train.py",
    "trainer": "Trainer, as train.py",
    "notebook": "Accelerate, as a notebook",
}
"""The forms of the code, with what people call them."""

CARRIED = frozenset(
    {
        *("seed", "learning_rate", "train_batch_size", "num_epochs", "warmup_ratio", "weight_decay"),
        "lr_scheduler_type",
        *("gradient_accumulation_steps", "max_grad_norm", "max_length", "max_steps", "num_train_pairs"),
        *("checkpoint", "batch_order", "mixed_precision", "attention_dropout", "pooler_start"),
        *("freeze_word_embeddings", "freeze_layers", "shared_words_weight"),
    }
)
"""Settings that the code has in it."""

BESIDE = frozenset({"preset", "loop", "keep_epochs", "checkpoint_every_s"})
"""Settings that change nothing of what is computed."""

TEMPLATES = Path(__file__).parent / "templates"

_CONDITION = re.compile(r"\s*#\? (not )?(\w+)$")


class CodeExport:
    """The code of the runs of one folder."""

    def __init__(self, store: RunStore) -> None:
        self._store = store

    def export_code(self, run_id: str, form: str) -> str:
        """Return the code that does what a run did, without this project.

        Args:
            run_id: the run, in whatever state.
            form: a key of :data:`FORMS`. For ``notebook`` the code is an ``.ipynb`` file's JSON.

        Raises:
            UnknownRunError: there is no such run.
            InputError: there is no such form.
        """
        if not isinstance(form, str) or form not in FORMS:
            raise InputError(f"form is {str(form)[:40]!r}; it must be one of {', '.join(FORMS)}.")
        config = self._store.open(run_id).config
        return write_notebook(config) if form == "notebook" else write_script(config, form)

    def file_name(self, form: str) -> str:
        """Return what to call the file of a form."""
        return "train.ipynb" if form == "notebook" else "train.py"


def write_script(config: RunConfig, form: str) -> str:
    """Return ``train.py`` for a run in the form "accelerate", "pytorch" or "trainer"."""
    lines = _fill(form, form, config)
    return "\n".join(line for line in lines if line != "#%") + "\n"


def write_notebook(config: RunConfig) -> str:
    """Return the Accelerate form of a run as a notebook, in its JSON."""
    text = "\n".join(_fill("accelerate", "notebook", config))
    header, _, code = text.removeprefix('"""').partition('"""\n')
    cells = [part.strip("\n") for part in re.split(r"^#%$", code, flags=re.MULTILINE)]
    notebook = {
        "cells": [
            _cell("markdown", 0, header.strip()),
            *(_cell("code", number, cell) for number, cell in enumerate(filter(None, cells), start=1)),
        ],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _cell(kind: str, number: int, source: str) -> dict[str, Any]:
    cell: dict[str, Any] = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}}
    if kind == "code":
        cell |= {"execution_count": None, "outputs": []}
    return cell | {"source": source.splitlines(keepends=True)}


def _fill(template: str, form: str, config: RunConfig) -> list[str]:
    """Return the lines of a template with a run's settings in them."""
    is_notebook = form == "notebook"
    flags = {
        **_flags(config.hyperparameters),
        f"form_{form}": True,
        "script": not is_notebook,
        "notebook": is_notebook,
    }
    lines = []
    for line in _read(template):
        condition = _CONDITION.search(line)
        if condition is not None:
            if flags.get(condition[2], False) is (condition[1] is not None):
                continue
            line = line[: condition.start()]
        lines.append(line)
    return Template("\n".join(lines)).substitute(_values(config, form)).splitlines()


def _read(name: str) -> list[str]:
    lines = []
    for line in (TEMPLATES / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        lines += _read(line.removeprefix("#< ")) if line.startswith("#< ") else [line]
    return lines


def _flags(train: TrainConfig) -> dict[str, bool]:
    accumulation, clip = train.gradient_accumulation_steps > 1, train.max_grad_norm > 0
    warmup, limited = train.warmup_ratio > 0, train.max_steps > 0
    shapes = {
        "no_attention_dropout": not train.attention_dropout,
        "identity_pooler": train.pooler_start == "identity",
        "frozen_words": train.freeze_word_embeddings,
        "frozen_layers": train.freeze_layers > 0,
        "shared_words": train.shared_words_weight > 0,
    }
    return {
        **shapes,
        "shaped": any(shapes.values()),
        "accumulation": accumulation,
        "clip": clip,
        "accumulation_clip": accumulation and clip,
        "single_clip": not accumulation and clip,
        "warmup": warmup,
        "limited": limited,
        "counted": warmup or limited,
        "decay": train.weight_decay > 0,
        "subset": train.num_train_pairs > 0,
        "length": train.batch_order == "length",
        "bf16": train.mixed_precision == "bf16",
    }


def _values(config: RunConfig, form: str) -> dict[str, str]:
    train = config.hyperparameters
    name, label = _checkpoint(config)
    return {
        "run_id": config.run_id,
        "loop_name": {"trainer": "Trainer", "pytorch": "plain PyTorch"}.get(form, "Accelerate"),
        "notes": "\n".join(_notes(config, form)),
        "checkpoint": f'"{name}"' if re.fullmatch(r"[\w./ -]+", name) else repr(name),
        "checkpoint_label": label,
        "seed": repr(train.seed),
        "num_epochs": repr(train.num_epochs),
        "batch_size": repr(train.train_batch_size),
        "learning_rate": repr(train.learning_rate),
        "lr_scheduler_type": train.lr_scheduler_type,
        "max_length": repr(train.max_length),
        "num_train_pairs": repr(train.num_train_pairs),
        "max_steps": repr(train.max_steps),
        "max_grad_norm": repr(train.max_grad_norm),
        "weight_decay": repr(train.weight_decay),
        "freeze_layers": repr(train.freeze_layers),
        "shared_words_weight": repr(train.shared_words_weight),
        "accumulation": repr(train.gradient_accumulation_steps),
        "num_warmup_steps": f"round({train.warmup_ratio!r} * num_steps)" if train.warmup_ratio else "0",
    }


def _checkpoint(config: RunConfig) -> tuple[str, str]:
    """Return what ``from_pretrained`` takes, and what people call it."""
    if config.checkpoint_dir is not None:
        return str(config.checkpoint_dir), "a local checkpoint"
    spec = PRETRAINED.get(config.hyperparameters.checkpoint)
    if config.hyperparameters.checkpoint == DEFAULT_CHECKPOINT:
        return BUNDLED_REPO_ID, DEFAULT_CHECKPOINT
    return config.hyperparameters.checkpoint, spec.label if spec else "a checkpoint"


def _notes(config: RunConfig, form: str) -> list[str]:
    """Say what the code does not tell by itself: the data of the run, and what is left out."""
    train, data = config.hyperparameters, config.data
    source = {"hub": "the Hub", "folder": "a folder", "sample": "the bundled sample, assets/sample_pairs"}
    blank = [""] if form != "notebook" else []
    notes = [*blank, f"The run took its pairs from {source[data.kind]} (fingerprint {data.fingerprint})."]
    if data.kind != "hub":
        notes[-1] += " Name it with --data-dir." if form != "notebook" else " Name it in DATA_DIR."
    left_out = []
    if train.batch_order == "length":
        left_out.append("the app's own batches of similar length: those of transformers are formed otherwise")
    if train.mixed_precision == "bf16" and form == "pytorch":
        left_out.append(f"mixed precision ({train.mixed_precision})")
    for name, field in type(train).model_fields.items():
        value = getattr(train, name)
        if name not in CARRIED | BESIDE and value != field.default:
            left_out.append(f"{name} = {_in_docstring(repr(value))}")
    notes.append(
        "Left out: checkpoints to resume from, the choice of the best epoch, and records of every pair"
    )
    notes[-1] += "." if not left_out else ";"
    notes += [f"{text}{'.' if text is left_out[-1] else ';'}" for text in left_out]
    if left_out:
        notes.append("Its scores lie within the spread of seeds of the run's, not on them.")
    return notes


def _in_docstring(text: str) -> str:
    """Escape a text so that a docstring with it reads like the text, and ends where it should."""
    return text.replace("\\", "\\\\").replace('"', '\\"')
