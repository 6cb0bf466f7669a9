"""``python -m mrpc.publish.onnx RUN_DIR``: the best model of a run as ONNX, in float32 and in int8.

The files are written to ``derived/onnx/`` of the run, with how far their answers are from torch's and how
long a pair takes. In a folder for others they stand in ``onnx/``, under the names that transformers.js reads.

Reading an export needs neither torch nor the optional packages.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from mrpc.errors import MrpcError, RunStateError, UnavailableError
from mrpc.files import copy_regular, hash_file, read_model, replacing_folder, write_model
from mrpc.progress import OnProgress, silent
from mrpc.runs.layout import Fingerprint
from mrpc.runs.process import hold
from mrpc.runs.run import ALIVE_STATES, Run
from mrpc.runs.store import RunStore

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

Form = Literal["onnx", "int8"]
"""Both forms of an export, as the sides of a comparison name them: float32, and weights in int8."""

FILES: Mapping[Form, str] = {"onnx": "model.onnx", "int8": "model_quantized.onnx"}
REPORT = "export.json"
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
INSTALL = "Install them with: pip install -r requirements/onnx.txt"
LENGTHS = (8, 16, 32, 64, 128)
"""Tokens of the pairs whose logits are compared with torch's, as far as the model takes them."""

MAX_DIFFERENCE = 1e-4
"""How far a logit in float32 may be from torch's; more is a mistake of the export."""

NUM_TIMED = 40
"""Pairs of the bundled sample that are answered one by one for the time a pair takes."""


class OnnxFile(BaseModel):
    """One form of the model."""

    num_bytes: int = Field(ge=0)
    sha256: Fingerprint
    max_difference: float = Field(description="Largest distance of a logit from torch's, over all lengths.")
    ms_per_pair: float = Field(
        description="Median of one pair at a time on one thread, tokenizing excluded, ms."
    )


class OnnxExport(BaseModel):
    """``export.json``: what was exported, and what was measured of it."""

    weights_sha256: Fingerprint = Field(description="Of the weights that it was made of.")
    files: dict[Form, OnnxFile]
    torch_ms_per_pair: float
    lengths: list[int] = Field(description="Tokens of the pairs that were compared.")
    versions: dict[str, str]


def require_packages() -> None:
    """Refuse to go on without the optional packages.

    Raises:
        UnavailableError: names what is missing, and the line that installs it.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise UnavailableError(f"ONNX needs packages that are not installed: {', '.join(missing)}. {INSTALL}")


def read_export(run: Run) -> OnnxExport | None:
    """Return what was exported of a run; None where nothing was."""
    return read_model(run.paths.onnx / REPORT, OnnxExport)


def export_run(run: Run, on_progress: OnProgress = silent) -> OnnxExport:
    """Export the best model of a run; an earlier export is replaced.

    Raises:
        BusyError: the run is being exported.
        RunStateError: the run has no model, or still trains.
        UnavailableError: an optional package is missing, or torch cannot export this kind of model.
    """
    if not run.has_weights():
        raise RunStateError(f"Run {run.run_id} has no fine-tuned weights to export.")
    if run.state() in ALIVE_STATES:
        raise RunStateError(f"Run {run.run_id} still trains. Export it when it has ended.")
    require_packages()
    on_progress("Loading the model", 0, 4)
    from mrpc.core.model.checkpoint_folder import weights_sha256
    from mrpc.core.model.classifier import load_finetuned
    from mrpc.core.model.onnx_model import OnnxClassifier, export_onnx, quantize_onnx

    model, tokenizer = load_finetuned(run.paths.best_model)
    run.paths.derived.mkdir(exist_ok=True)
    with hold(run.paths.derived / "onnx.lock"), replacing_folder(run.paths.onnx) as folder:
        for left in run.paths.derived.glob(f".{run.paths.onnx.name}.*"):
            if left != folder:
                shutil.rmtree(left)  # of an export that was killed
        on_progress("Writing ONNX in float32", 1, 4)
        export_onnx(model, tokenizer, folder / FILES["onnx"])
        on_progress("Writing ONNX in int8", 2, 4)
        quantize_onnx(folder / FILES["onnx"], folder / FILES["int8"])
        on_progress("Comparing with torch", 3, 4)
        lengths = [length for length in LENGTHS if length <= run.config.hyperparameters.max_length]
        with _one_thread():
            models: dict[str, torch.nn.Module] = {"torch": model}
            models |= {form: OnnxClassifier(folder / name) for form, name in FILES.items()}
            differences = _differences(models, tokenizer, lengths)
            times = _times(models, tokenizer)
        if differences["onnx"] > MAX_DIFFERENCE:
            raise UnavailableError(
                f"Logits of the exported model differ from torch's by {differences['onnx']:.2g}. "
                "Nothing was kept."
            )
        export = OnnxExport(
            weights_sha256=weights_sha256(model),
            files={
                form: OnnxFile(
                    num_bytes=(folder / name).stat().st_size,
                    sha256=hash_file(folder / name),
                    max_difference=differences[form],
                    ms_per_pair=times[form],
                )
                for form, name in FILES.items()
            },
            torch_ms_per_pair=times["torch"],
            lengths=lengths,
            versions={name: version(name) for name in ("torch", *PACKAGES)},
        )
        write_model(folder / REPORT, export)
    on_progress("Exported", 4, 4)
    return export


def onnx_files(run: Run) -> dict[str, Path]:
    """Return both forms of an exported run, by the name that transformers.js reads each under."""
    return {f"onnx/{name}": run.paths.onnx / name for name in FILES.values()}


def onnx_folder_files(run: Run) -> dict[str, Path]:
    """Return what a folder that transformers.js reads has: config and tokenizer, and both forms."""
    rest = {name: file for name, file in run.best_files().items() if file.suffix != ".safetensors"}
    return rest | onnx_files(run)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch compute on one thread: what is measured so depends little on what else the machine does."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _differences(
    models: Mapping[str, torch.nn.Module], tokenizer: PreTrainedTokenizerBase, lengths: list[int]
) -> dict[str, float]:
    """Return how far the logits of each model are from torch's: alone at each length, and in one batch."""
    import torch

    words = " ".join(["the company said on Tuesday that its shares rose"] * 20)
    singles = [
        tokenizer(words, words, truncation=True, max_length=length, return_tensors="pt") for length in lengths
    ]
    rows = [{name: values[0] for name, values in single.items()} for single in singles]
    batches = [*singles, tokenizer.pad(rows, return_tensors="pt")]
    worst = dict.fromkeys(models, 0.0)
    with torch.inference_mode():
        for batch in batches:
            expected = models["torch"](**batch).logits
            for name, model in models.items():
                worst[name] = max(worst[name], float((model(**batch).logits - expected).abs().max()))
    return worst


def _times(models: Mapping[str, torch.nn.Module], tokenizer: PreTrainedTokenizerBase) -> dict[str, float]:
    """Return the milliseconds that each model takes for a pair, in turn, so that all see the same machine."""
    import torch

    from mrpc.core.data.load import load_data

    pairs = load_data("sample").dataset["validation"][:NUM_TIMED]
    taken: dict[str, list[float]] = {name: [] for name in models}
    with torch.inference_mode():
        for first, second in zip(pairs["sentence1"], pairs["sentence2"], strict=True):
            batch = tokenizer(first, second, truncation=True, return_tensors="pt")
            for name, model in models.items():
                started_at = time.perf_counter()
                model(**batch)
                taken[name].append((time.perf_counter() - started_at) * 1000)
    return {name: statistics.median(times) for name, times in taken.items()}


def main(arguments: list[str] | None = None) -> int:
    """Export, say how far it is and what was measured; 1 with one sentence when it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m mrpc.publish.onnx", description=__doc__)
    parser.add_argument("run_dir", type=Path, help="folder of a run that has ended")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write a folder that transformers.js reads, too"
    )
    given = parser.parse_args(arguments)
    run_dir = given.run_dir.expanduser().resolve()
    try:
        run = RunStore(run_dir.parent).open(run_dir.name)
        export = export_run(
            run, lambda what, num_done, num_total: print(f"[{num_done}/{num_total}] {what}", flush=True)
        )
    except MrpcError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"torch: {export.torch_ms_per_pair:.1f} ms a pair")
    for form, file in export.files.items():
        print(
            f"{FILES[form]}: {file.num_bytes / 1e6:.1f} MB, {file.ms_per_pair:.1f} ms a pair, "
            f"logits within {file.max_difference:.2g} of torch's"
        )
    folder = run.paths.onnx
    if given.out is not None:
        folder = given.out.expanduser()
        copy_regular(onnx_folder_files(run), folder)
    print(f"Written to {folder}. Compare has it as {run.run_id}:onnx and {run.run_id}:int8.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
