"""Write the code of a run: from the templates beside this module and the run's own settings.

A template (Jinja2) is the script itself. A value enters only as a Python literal: whatever else a template
prints is refused, because a run's folder may come from elsewhere. ``#%`` begins a new cell of the notebook.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from mrpc.app.templates import open_templates
from mrpc.config import LOOP_TITLES, TrainConfig
from mrpc.core.model.pretrained import PRETRAINED
from mrpc.errors import InputError
from mrpc.runs.events import StartedEvent
from mrpc.runs.layout import DATA, RunConfig
from mrpc.runs.log import read_events
from mrpc.runs.run import Run

CODE_FORMS: Mapping[str, str] = {**LOOP_TITLES, "notebook": "Notebook"}
"""The forms of the code, with what people call them."""

CARRIED = frozenset(
    {
        *("seed", "learning_rate", "train_batch_size", "num_epochs", "warmup_ratio", "weight_decay"),
        "lr_scheduler_type",
        *("gradient_accumulation_steps", "max_grad_norm", "max_length", "max_steps", "num_train_pairs"),
        *("checkpoint", "batch_order", "mixed_precision", "attention_dropout", "pooler_start"),
        *("freeze_word_embeddings", "freeze_layers", "shared_words_weight", "both_orders"),
    }
)
"""Settings that the code has in it."""

BESIDE = frozenset({"preset", "loop", "keep_epochs", "checkpoint_every_s"})
"""Settings that change nothing of what is computed."""

DEPENDENCIES = {
    "accelerate": ">=1.10,<2",
    "datasets": ">=5,<6",
    "evaluate": ">=0.4.6,<0.5",
    "numpy": ">=2,<3",
    "torch": ">=2.8",
    "tqdm": ">=4.60",
    "transformers": ">=5,<6",
}
"""What the code imports, with the ranges of requirements.txt for what the run did not record."""

PUBLIC_VERSION = re.compile(r"\d+(\.\d+)*((a|b|rc)\d+)?")
"""The part of a version that an index knows: of torch's 2.13.0+cpu, 2.13.0."""

FIRST_EVENTS_BYTES = 262_144
"""The event that a run starts with is within the first of its log."""


class Literal(str):
    """Source code of a Python literal: the only thing that a template may print."""


def literal(value: object) -> Literal:
    """Write a value as Python source; a text in double quotes where that needs no escape."""
    if isinstance(value, str) and re.fullmatch(r"[\w./ -]+", value, re.ASCII):
        return Literal(f'"{value}"')
    return Literal(ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value))


def _require_literal(value: object) -> object:
    assert isinstance(value, Literal), f"a template prints {value!r} without the filter |literal"
    return value


TEMPLATES = open_templates(
    Path(__file__).parent / "templates",
    autoescape=False,
    finalize=_require_literal,
    keep_trailing_newline=True,
)
TEMPLATES.filters["literal"] = literal


def export_code(run: Run, form: object) -> str:
    """Return the code that does what a run did, without this project.

    Args:
        run: the run, in whatever state.
        form: a key of :data:`CODE_FORMS`. For ``notebook`` the code is an ``.ipynb`` file's JSON.

    Raises:
        InputError: there is no such form.
    """
    if not isinstance(form, str) or form not in CODE_FORMS:
        raise InputError(f"form is {str(form)[:40]!r}; it must be one of {', '.join(CODE_FORMS)}.")
    events = read_events(run.paths.events, 0, FIRST_EVENTS_BYTES)
    started = next((event for event in events if isinstance(event, StartedEvent)), None)
    if form == "notebook":
        return write_notebook(run.config, started)
    process = run.read_process()
    return write_script(run.config, form, started, process.versions if process else {})


def write_script(
    config: RunConfig,
    form: str,
    started: StartedEvent | None = None,
    versions: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return ``train.py`` for a run in the form "accelerate", "pytorch" or "trainer".

    Args:
        config: of the run.
        form: see :data:`CODE_FORMS`.
        started: what the run recorded at its start.
        versions: of the packages that trained it: the script asks for these.
    """
    notes = _notes(config, form, _precision(config.hyperparameters, started))
    header = _in_docstring("\n".join([*_header(config, form), *_usage(form), "", *notes]))
    code = re.sub(r"^#%\n", "", _render(form, form, config, started), flags=re.MULTILINE)
    return f'{script_metadata(versions)}"""{header}\n"""\n\n{code}'


def script_metadata(versions: Mapping[str, str]) -> str:
    """Return what ``uv run train.py`` and ``pipx run`` install (PEP 723): the versions of the run.

    Args:
        versions: as recorded, untrusted; a package without a usual one gets a range.
    """
    lines = ["# /// script", '# requires-python = ">=3.11"', "# dependencies = ["]
    for name, allowed in DEPENDENCIES.items():
        public = PUBLIC_VERSION.fullmatch(versions.get(name, "").partition("+")[0])
        lines.append(f'#     "{name}{"==" + public[0] if public else allowed}",')
    return "\n".join([*lines, "# ]", "# ///", ""])


def write_notebook(config: RunConfig, started: StartedEvent | None = None) -> str:
    """Return the Accelerate form of a run as a notebook, in its JSON."""
    import nbformat  # opening the page need not wait for it
    from nbformat import v4

    code = _render("accelerate", "notebook", config, started)
    sources = [part.strip("\n") for part in re.split(r"^#%$", code, flags=re.MULTILINE)]
    notes = _notes(config, "notebook", _precision(config.hyperparameters, started))
    header = "\n".join([*_header(config, "notebook"), "", *notes])
    cells = [v4.new_markdown_cell(header), *map(v4.new_code_cell, filter(None, sources))]
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"  # the same code is the same file
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = v4.new_notebook(
        cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}}
    )
    return nbformat.writes(notebook) + "\n"


def _render(template: str, form: str, config: RunConfig, started: StartedEvent | None) -> str:
    train = config.hyperparameters
    max_length = started.max_length if started is not None and started.max_length else train.max_length
    is_fitted = started is not None and bool(started.encoder_notes)
    values = {
        **train.model_dump(),
        "fitted": is_fitted,
        "shaped": is_fitted
        or not train.attention_dropout
        or train.pooler_start == "identity"
        or train.freeze_word_embeddings
        or train.freeze_layers > 0
        or train.shared_words_weight > 0,
        "accumulation": train.gradient_accumulation_steps > 1,
        "length": train.batch_order == "length",
        "precision": _precision(train, started),
        "script": form != "notebook",
        "notebook": form == "notebook",
        "checkpoint": _checkpoint(config)[0],
        "max_length": min(train.max_length, max_length),
    }
    return TEMPLATES.get_template(f"{template}.jinja").render(values)


def _precision(train: TrainConfig, started: StartedEvent | None) -> str:
    """Return what the run's steps computed in; before its start, what it asks for, or "no" for auto."""
    if started is not None:
        return started.mixed_precision
    return train.mixed_precision if train.mixed_precision != "auto" else "no"


def _checkpoint(config: RunConfig) -> tuple[str, str]:
    """Return what ``from_pretrained`` takes, and what people call it."""
    if config.checkpoint_dir is not None:
        return str(config.checkpoint_dir), "a local checkpoint"
    name = config.hyperparameters.checkpoint
    spec = PRETRAINED.get(name)
    return (name, "a checkpoint") if spec is None else (spec.source, spec.label)


def _header(config: RunConfig, form: str) -> list[str]:
    loop = {"pytorch": "plain PyTorch", "notebook": "Accelerate"}.get(form, CODE_FORMS[form])
    label = _checkpoint(config)[1]
    data = re.sub(r"[^\w .,()-]", "_", config.data.name)[:80]  # a notebook shows it as Markdown
    return [f"Fine-tune {label} on {data} as run {config.run_id} of MRPC Lab did, with {loop}."]


def _usage(form: str) -> list[str]:
    launch = ["    accelerate launch train.py"] if form == "accelerate" else []
    return [
        "",
        "    python train.py",
        *launch,
        "    python train.py --checkpoint DIR --data-dir DIR    # where there is no Hub",
        "    uv run train.py                                    # installs the versions above by itself",
    ]


def _notes(config: RunConfig, form: str, precision: str) -> list[str]:
    """Say what the code does not tell by itself: the data of the run, and what is left out."""
    train, data = config.hyperparameters, config.data
    source = {"hub": "the Hub", "folder": "a folder", "sample": "the bundled sample, assets/sample_pairs"}
    notes = [f"The run took its pairs from {source[data.kind]} (fingerprint {data.fingerprint})."]
    if data.kind != "hub":
        notes[-1] += " Name it with --data-dir." if form != "notebook" else " Name it in DATA_DIR."
    if data.data_dir is not None and data.data_dir.parent.name == DATA:
        notes.append(f"Its rows are kept in the runs folder, in {DATA}/{data.data_dir.name}.")
    left_out = []
    if train.batch_order == "length":
        left_out.append("the app's own batches of similar length: those of transformers are formed otherwise")
    if precision != "no" and form == "pytorch":
        left_out.append(f"mixed precision ({precision})")
    for name, field in type(train).model_fields.items():
        value = getattr(train, name)
        if name not in CARRIED | BESIDE and value != field.default:
            left_out.append(f"{name} = {value!r}")
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
