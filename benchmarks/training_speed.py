"""How fast a training step is: this project's loop beside transformers' Trainer and accelerate's example.

    python -m benchmarks.training_speed --data-dir ../mrpc --quick         # the two ratios, in 3 minutes
    python -m benchmarks.training_speed --data-dir ../mrpc                 # every way; 15 minutes
    python -m benchmarks.training_speed --data-dir ../mrpc --every-change  # and every change alone
    python -m benchmarks.training_speed --data-dir ../mrpc --bert-base     # the model of the course
    python -m benchmarks.training_speed --data-dir ../mrpc --avx2          # as a processor without AVX-512

Each way trains the bundled checkpoint in a process of its own at the course's hyperparameters (batch 8, 5e-5,
clipping at 1.0). The processes take turns, a block of steps at a time, so that a machine that slows down
slows all of them; while one works, the others wait. Between them the rate of float32 matrix products is
measured: the limit of this machine. Seconds are scaled by real tokens to one epoch of the data, plus one
evaluation. Nobody writes checkpoints meanwhile; what one of this project's costs is printed beside.
``--bert-base`` trains random weights in the shapes of ``google-bert/bert-base-uncased``: the speed of a step
does not depend on what the weights are.

Writes the part ``speed`` of ``benchmarks/results.json``, or ``speed_avx2`` when the libraries are held to
AVX2, as on most machines with two cores, and the headline. ``--bert-base`` writes ``bert_base``, ``--only
trainer trainer_bf16 fast_bf16`` writes ``speed_bf16`` and its two ratios, the others write nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.results import AVX2_ONLY, describe_machine, write_part
from mrpc.config import CHEAP_STEPS

PROJECT_DIR = Path(__file__).resolve().parents[1]

BATCH_SIZE, LEARNING_RATE, MAX_LENGTH, SEED = 8, 5e-5, 128, 42
EVAL_BATCH_SIZE = 64

WAYS = {
    "trainer": "transformers' Trainer, DataCollatorWithPadding",
    "trainer_grouped": 'Trainer, train_sampling_strategy="group_by_length"',
    "pad_128": "Trainer, every pair padded to 128 as run_glue does",
    "nlp_example": "a loop in the style of accelerate's nlp_example.py",
    "plain": "this project, preset course",
    "exact": "course and fast: same batches, same dropout distribution",
    "fast": "course, fast, batches by length, word embeddings and two layers frozen, no attention dropout",
}
IN_BFLOAT16 = {
    "trainer_bf16": "Trainer, bf16=True",
    "fast_bf16": "the fast steps in bfloat16, which mixed_precision auto takes here",
}
"""What is measured beside them where the processor multiplies in bfloat16."""

ALONE = {
    "exact_torch_dropout": "exact, with torch's dropout",
    "exact_padded": "exact, with linear layers on padding too",
    "exact_all_positions": "exact, with the whole last layer",
    "exact_whole_table": "exact, with gradients and steps for the whole table of word embeddings",
    "exact_length": "exact + batches by length",
    "exact_frozen": "exact + frozen word embeddings",
    "exact_no_attention_dropout": "exact + no attention dropout",
    "exact_freeze_2": "exact + the two lowest layers frozen",
}
"""What each change brings: exact without one of its parts, or with one statistical change added."""

OURS: dict[str, dict[str, Any]] = {
    "plain": {},
    "exact": {"fast": True},
    "exact_torch_dropout": {"fast": True},
    "exact_padded": {"fast": True},
    "exact_all_positions": {"fast": True},
    "exact_whole_table": {"fast": True, "weight_decay": 1e-12},  # with decay every row has to move
    "exact_length": {"fast": True, "batch_order": "length"},
    "exact_frozen": {"fast": True, "freeze_word_embeddings": True},
    "exact_no_attention_dropout": {"fast": True, "attention_dropout": False},
    "exact_freeze_2": {"fast": True, "freeze_layers": 2},
    "fast": CHEAP_STEPS,
    "fast_bf16": {**CHEAP_STEPS, "mixed_precision": "bf16"},
}

QUICK = ("trainer", "exact", "fast")
BERT_BASE = ("trainer", "plain", "exact", "fast")
BFLOAT16 = ("trainer", "trainer_bf16", "fast_bf16")


MARK = "turn: "
"""Begins the lines by which a process answers; libraries print others."""


class Turn:
    """Lets a training go on for one block of steps at a time, when standard input says so."""

    def __init__(self, num_steps: int, evaluate: Callable[[], Any] | None = None) -> None:
        self.evaluate = evaluate
        self.save_checkpoint: Callable[[], Any] | None = None
        self.num_tokens = self.num_positions = 0
        self._num_steps = num_steps
        self._steps_left = 0
        self._began_at = 0.0

    def wait(self) -> None:
        """Before the first step: say that this process is ready, and wait."""
        print(f"{MARK}ready", flush=True)
        self._next()

    def on_batch(self, attention_mask: Any) -> None:
        """Count the tokens of a batch."""
        self.num_tokens += int(attention_mask.sum())
        self.num_positions += attention_mask.numel()

    def on_step(self) -> None:
        """After each step: at the end of a block report, and wait for the next turn."""
        self._steps_left -= 1
        if self._steps_left == 0:
            self._tell(seconds=time.perf_counter() - self._began_at)
            self._next()

    def _next(self) -> None:
        for line in sys.stdin:
            act = {"evaluate": self.evaluate, "checkpoint": self.save_checkpoint}.get(line.strip())
            if act is not None:
                began_at = time.perf_counter()
                act()
                self._tell(seconds=time.perf_counter() - began_at)
                continue
            self.num_tokens = self.num_positions = 0
            self._steps_left, self._began_at = self._num_steps, time.perf_counter()
            return
        os._exit(0)  # the coordinator has what it wants

    def _tell(self, seconds: float) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        row = {"seconds": seconds, "tokens": self.num_tokens, "positions": self.num_positions}
        print(MARK + json.dumps({**row, "peak_memory_bytes": peak}), flush=True)


# ---------------------------------------------------------------- the ways to train


def train_ours(name: str, data_dir: Path, checkpoint_dir: Path | None, turn: Turn) -> None:
    """Train as the training process does, recording and all."""
    import torch
    from torch.nn import functional as F

    from mrpc.config import build_config
    from mrpc.core.data.load import load_data
    from mrpc.core.model import fast_bert
    from mrpc.core.model.pretrained import local_pretrained
    from mrpc.runs.layout import DataRef
    from mrpc.runs.store import RunStore
    from mrpc.settings import LaunchedProcesses
    from mrpc.training.loops.pytorch import evaluate
    from mrpc.training.ranks import join
    from mrpc.training.report import Reporter
    from mrpc.training.session import TrainingSession, select_loop
    from mrpc.training.setup import load_run_data

    class WithTorchDropout(fast_bert.FastForward):
        def _drop(self, x: torch.Tensor, p: float) -> torch.Tensor:
            return F.dropout(x, p, self._model.training)

    class OnPadding(fast_bert.FastForward):
        def __call__(self, input_ids: torch.Tensor, **rest: Any) -> Any:
            # only used words have embeddings here, and [PAD] is none: let [CLS] stand for it, masked as it is
            first = input_ids[:, :1].expand_as(input_ids)
            return super().__call__(torch.where(rest["attention_mask"] == 1, input_ids, first), **rest)

        def _rows(self, attention_mask: torch.Tensor) -> torch.Tensor:
            return torch.arange(attention_mask.numel())

    class WithAllPositions(fast_bert.FastForward):
        def _layer(self, *args: Any) -> torch.Tensor:
            hidden = super()._layer(*args[:5])
            return hidden[args[5]] if len(args) > 5 else hidden

    parts = {
        "exact_torch_dropout": WithTorchDropout,
        "exact_padded": OnPadding,
        "exact_all_positions": WithAllPositions,
    }
    with tempfile.TemporaryDirectory() as runs_dir:
        config = build_config(
            {
                "preset": "course",
                "num_epochs": 50,
                "seed": SEED,
                "checkpoint_every_s": 86_400,  # or each turn would begin with one, for time that others took
                **({"checkpoint": local_pretrained(checkpoint_dir).name} if checkpoint_dir else {}),
                **OURS[name],
            }
        )
        data = DataRef.model_validate(load_data("folder", data_dir))
        run = RunStore(Path(runs_dir)).create(config, data, checkpoint_dir)
        report = Reporter(run, attempt=1)
        session = TrainingSession(run, load_run_data(run), report, join(LaunchedProcesses()))
        if name in parts:
            words = session.model.forward.words
            session.model.forward = parts[name](session.model, session.dropout, words)
        report.preparing = False
        session.begin()
        on_batch, on_step = session.on_batch, session.on_step

        def count(loss: Any, logits: Any, batch: Any) -> None:
            turn.on_batch(batch["attention_mask"])
            on_batch(loss, logits, batch)

        def step(*args: Any) -> None:
            on_step(*args)
            turn.on_step()

        validation = session.validation.loader()

        def evaluate_beside() -> None:
            epoch, session.epoch = session.epoch, 0  # as if untrained, so that no weights are saved
            evaluate(session, session.model, validation)
            session.epoch = epoch
            session.model.train()

        turn.evaluate, turn.save_checkpoint = evaluate_beside, session.save_checkpoint
        session.on_batch, session.on_step = count, step  # type: ignore[method-assign]
        turn.wait()
        select_loop("accelerate")(session)


def load_pairs(
    data_dir: Path, checkpoint_dir: Path | None, pad_to: int | None = None
) -> tuple[Any, Any, Any, Any]:
    """Return tokenizer, model, and the two encoded splits, as a plain script makes them."""
    import torch
    from datasets import load_dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from mrpc.core.model.pretrained import resolve_pretrained

    directory = str(resolve_pretrained(checkpoint_dir=checkpoint_dir).dir)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    files = {name: str(next(data_dir.glob(f"{name}.*"))) for name in ("train", "validation")}
    raw = load_dataset(
        next(iter(files.values())).rsplit(".", 1)[1].replace("jsonl", "json"), data_files=files
    )
    padding: Any = "max_length" if pad_to else False

    def tokenize(rows: Any) -> Any:
        return tokenizer(
            rows["sentence1"], rows["sentence2"], truncation=True, max_length=MAX_LENGTH, padding=padding
        )

    pairs = raw.map(tokenize, batched=True).rename_column("label", "labels")
    pairs = pairs.select_columns(["input_ids", "token_type_ids", "attention_mask", "labels"])
    torch.manual_seed(SEED)
    model = AutoModelForSequenceClassification.from_pretrained(directory, num_labels=2)
    return tokenizer, model, pairs["train"], pairs["validation"]


def train_trainer(name: str, data_dir: Path, checkpoint_dir: Path | None, turn: Turn) -> None:
    """Train with transformers' Trainer."""
    from transformers import DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments

    pad_to = 128 if name == "pad_128" else None
    tokenizer, model, train, validation = load_pairs(data_dir, checkpoint_dir, pad_to)
    collate = DataCollatorWithPadding(tokenizer)

    def counted(features: Any) -> Any:
        batch = collate(features)
        turn.on_batch(batch["attention_mask"])
        return batch

    class TakeTurns(TrainerCallback):
        def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
            turn.wait()

        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            turn.on_step()

    arguments: dict[str, Any] = (
        {"train_sampling_strategy": "group_by_length"} if name == "trainer_grouped" else {}
    )
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=BATCH_SIZE,
            per_device_eval_batch_size=EVAL_BATCH_SIZE,
            learning_rate=LEARNING_RATE,
            num_train_epochs=50,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            bf16=name == "trainer_bf16",
            seed=SEED,
            **arguments,
        )
        trainer = Trainer(model, args, counted, train, validation, processing_class=tokenizer)
        trainer.add_callback(TakeTurns())
        turn.evaluate = lambda: (
            Trainer(model, args, collate, eval_dataset=validation).evaluate(),
            model.train(),
        )
        trainer.train()


def train_example(data_dir: Path, checkpoint_dir: Path | None, turn: Turn) -> None:
    """Train with a loop in the style of accelerate's ``nlp_example.py``."""
    import torch
    from accelerate import Accelerator
    from torch.utils.data import DataLoader
    from transformers import get_linear_schedule_with_warmup

    tokenizer, model, train, validation = load_pairs(data_dir, checkpoint_dir)

    def collate(features: Any) -> Any:
        return tokenizer.pad(features, padding="longest", return_tensors="pt")

    accelerator = Accelerator(cpu=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    loader = DataLoader(train, BATCH_SIZE, shuffle=True, collate_fn=collate, drop_last=True)
    eval_loader = DataLoader(validation, EVAL_BATCH_SIZE, collate_fn=collate)
    scheduler = get_linear_schedule_with_warmup(optimizer, 100, len(loader) * 50)
    model, optimizer, loader, eval_loader, scheduler = accelerator.prepare(
        model, optimizer, loader, eval_loader, scheduler
    )

    def evaluate() -> None:
        model.eval()
        for batch in eval_loader:
            with torch.no_grad():
                accelerator.gather_for_metrics(model(**batch).logits.argmax(dim=-1))
        model.train()

    turn.evaluate = evaluate
    model.train()
    turn.wait()
    while True:
        for batch in loader:
            turn.on_batch(batch["attention_mask"])
            accelerator.backward(model(**batch).loss)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            turn.on_step()


def multiply(turn: Turn) -> None:
    """Multiply matrices of a step's size: float32, as the feed-forward layers of a batch do."""
    import torch

    x, weights = torch.randn(1024, 384), torch.randn(1536, 384)
    turn.wait()
    while True:
        for _ in range(100):
            torch.nn.functional.linear(x, weights)
        turn.on_step()


MULTIPLY_FLOPS = 100 * 2 * 1024 * 384 * 1536


def work(name: str, data_dir: Path, checkpoint_dir: Path | None, num_steps: int) -> None:
    """Be one of the processes."""
    turn = Turn(num_steps)
    if name == "multiply":
        multiply(turn)
    elif name in OURS:
        train_ours(name, data_dir, checkpoint_dir, turn)
    elif name == "nlp_example":
        train_example(data_dir, checkpoint_dir, turn)
    else:
        train_trainer(name, data_dir, checkpoint_dir, turn)


# ---------------------------------------------------------------- the coordinator


class Worker:
    """One process that trains one way, when it is its turn."""

    def __init__(self, name: str, data_dir: Path, checkpoint_dir: Path | None, num_steps: int) -> None:
        self.name = name
        arguments = ["--data-dir", str(data_dir), "--worker", name, "--steps", str(num_steps)]
        if checkpoint_dir is not None:
            arguments += ["--checkpoint-dir", str(checkpoint_dir)]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
        environment["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
        self.blocks: list[dict[str, float]] = []
        self.evaluations: list[float] = []
        self.checkpoints: list[float] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.training_speed", *arguments],
            cwd=PROJECT_DIR,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lines = iter(self._process.stdout or ())

    def wait_until_ready(self) -> None:
        """Wait for its imports, its data and its model."""
        assert self._answer() == "ready", f"{self.name} did not get ready"

    def ask(self, what: str) -> dict[str, float]:
        """Let it do a block of steps, or an evaluation."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return dict(json.loads(self._answer()))

    def _answer(self) -> str:
        for line in self._lines:
            if line.startswith(MARK):
                return line.removeprefix(MARK).strip()
        raise RuntimeError(f"a worker ended with exit code {self._process.wait()}")

    def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


def count_work(data_dir: Path, checkpoint_dir: Path | None) -> tuple[int, float]:
    """Return the real tokens of an epoch, and the floating-point operations of its matrix products.

    For every token 6 operations a weight of the encoder's matrices, and 12 T W a layer for attention.
    """
    import numpy as np
    import pyarrow.compute as pc

    from mrpc.core.data.load import load_data
    from mrpc.core.model.pretrained import load_tokenizer, resolve_pretrained
    from mrpc.core.text.tokenization import encode_dataset

    checkpoint = resolve_pretrained(checkpoint_dir=checkpoint_dir)
    tokenizer = load_tokenizer(checkpoint)
    encoded = encode_dataset(tokenizer, load_data("folder", data_dir).dataset["train"], MAX_LENGTH)
    lengths = pc.list_value_length(encoded.data.column("input_ids")).to_numpy().astype(np.int64)
    shape = json.loads((checkpoint.dir / "config.json").read_bytes())
    width, layers = shape["hidden_size"], shape["num_hidden_layers"]
    flops = 6 * 12 * width**2 * layers * lengths.sum() + 12 * layers * width * (lengths**2).sum()
    return int(lengths.sum()), float(flops)


def write_bert_base(folder: Path) -> Path:
    """Write a checkpoint in the shapes of bert-base-uncased, with random weights, and return its folder."""
    from transformers import BertConfig, BertModel

    from mrpc.core.model.pretrained import load_tokenizer, resolve_pretrained

    BertModel(BertConfig()).save_pretrained(folder)  # the defaults of BertConfig are its shapes
    load_tokenizer(resolve_pretrained()).save_pretrained(folder)  # the same vocabulary of 30,522 words
    return folder


def measure(
    names: list[str],
    data_dir: Path,
    checkpoint_dir: Path | None,
    num_blocks: int,
    num_steps: int,
    num_evals: int,
) -> dict[str, Any]:
    """Let the workers take turns; the first blocks of each warm it up and do not count.

    They are at least as many steps as this project does before it evaluates the untrained model.
    """
    from mrpc.training.session import BASE_EVALUATION_STEP

    num_warm = math.ceil((BASE_EVALUATION_STEP + 1) / num_steps)
    workers = {name: Worker(name, data_dir, checkpoint_dir, num_steps) for name in names}
    rate = Worker("multiply", data_dir, None, 5)
    for worker in [*workers.values(), rate]:  # they start side by side
        worker.wait_until_ready()
    rates = []
    for block in range(1 - num_warm, num_blocks + 1):
        for worker in workers.values():
            row = worker.ask("train")
            gflops = 5 * MULTIPLY_FLOPS / rate.ask("train")["seconds"] / 1e9
            if block > 0:
                worker.blocks.append(row)
                rates.append(gflops)
        print(f"block {block} of {num_blocks}", file=sys.stderr)
    for _ in range(num_evals):
        for worker in workers.values():
            worker.evaluations.append(worker.ask("evaluate")["seconds"])
            if worker.name in OURS:
                worker.checkpoints.append(worker.ask("checkpoint")["seconds"])
    for worker in [*workers.values(), rate]:
        worker.end()
    tokens, flops = count_work(data_dir, checkpoint_dir)
    matmul = statistics.median(rates)
    rows = {name: _row(worker, tokens, flops, matmul) for name, worker in workers.items()}
    return {
        "machine": describe_machine(),
        "matmul_gflops": {"median": matmul, "low": min(rates), "high": max(rates)},
        "num_blocks": num_blocks,
        "steps_per_block": num_steps,
        "tokens_per_epoch": tokens,
        "tflop_per_epoch": flops / 1e12,
        "ways": rows,
    }


def _row(worker: Worker, tokens: int, flops: float, matmul_gflops: float) -> dict[str, float | None]:
    steps = [block["seconds"] / block["tokens"] * tokens for block in worker.blocks]
    seconds = statistics.median(steps)
    padding = 1 - sum(b["tokens"] for b in worker.blocks) / sum(b["positions"] for b in worker.blocks)
    return {
        "steps_s": seconds,
        "steps_s_low": min(steps),
        "steps_s_high": max(steps),
        "evaluation_s": statistics.median(worker.evaluations),
        "epoch_s": seconds + statistics.median(worker.evaluations),
        "checkpoint_s": statistics.median(worker.checkpoints) if worker.checkpoints else None,
        "tokens_per_s": tokens / seconds,
        "padding_share": padding,
        "peak_memory_bytes": max(block["peak_memory_bytes"] for block in worker.blocks),
        "share_of_matmul_rate": flops / seconds / 1e9 / matmul_gflops,
    }


def table(result: dict[str, Any], names: Iterator[str] | list[str]) -> str:
    """Return the rows as a Markdown table; speed-ups are those of whole epochs against Trainer."""
    ways, labels = result["ways"], {**WAYS, **IN_BFLOAT16, **ALONE}
    lines = [
        "| way | s an epoch | lowest to highest | against Trainer | tokens/s | padding | memory | of limit |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in names:
        row = ways[name]
        ratio = ways["trainer"]["epoch_s"] / row["epoch_s"]
        memory = f"{row['peak_memory_bytes'] / 1e9:.2f} GB"
        spread = " to ".join(
            f"{row[key] + row['evaluation_s']:.0f}" for key in ("steps_s_low", "steps_s_high")
        )
        lines.append(
            f"| {labels[name]} | {row['epoch_s']:.0f} | {spread} | x{ratio:.2f} | "
            f"{row['tokens_per_s']:,.0f} | {row['padding_share']:.0%} | {memory} | "
            f"{row['share_of_matmul_rate']:.0%} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print the tables and keep the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--blocks", type=int, help="turns of each way that count (4, quick 9)")
    parser.add_argument("--steps", type=int, help="steps in a turn (16, quick 6)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--quick", action="store_true", help="the two ratios alone")
    what.add_argument("--every-change", action="store_true", help="every change alone as well")
    what.add_argument("--bert-base", action="store_true", help="random weights of BERT-base's shapes")
    what.add_argument("--only", nargs="+", choices=[*WAYS, *IN_BFLOAT16, *ALONE], help="measure these alone")
    parser.add_argument("--avx2", action="store_true", help="hold torch, MKL and oneDNN to AVX2")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--checkpoint-dir", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    data_dir = options.data_dir.resolve()
    if options.worker:
        work(options.worker, data_dir, options.checkpoint_dir, options.steps)
        return
    if options.avx2:
        os.environ.update(AVX2_ONLY)  # for this process and its workers
    # Short turns in number: their median withstands what else happens on the machine.
    num_blocks, num_steps = (9, 6) if options.quick else (4, 16)
    names = ["trainer", *(name for name in chosen_ways(options) if name != "trainer")]
    with tempfile.TemporaryDirectory() as folder:
        checkpoint_dir = write_bert_base(Path(folder)) if options.bert_base else None
        num_evals = 1 if options.quick or options.bert_base else 3
        result = measure(
            names,
            data_dir,
            checkpoint_dir,
            options.blocks or num_blocks,
            options.steps or num_steps,
            num_evals,
        )
    print(table(result, list(result["ways"])))
    print(f"matrix products: {result['matmul_gflops']['median']:.0f} GFLOP/s (float32, median)")
    for name, row in result["ways"].items():
        if row["checkpoint_s"] is not None:
            print(f"a checkpoint of {name}: {row['checkpoint_s']:.2f} s")
    if options.bert_base:
        write_part("bert_base", bert_base(result))
    elif options.only:
        if set(BFLOAT16) <= set(options.only):
            write_part("speed_bf16", result)
            for name, value in bfloat16_headline(result).items():
                write_part(name, value)
    elif not options.quick:
        write_part("speed_avx2" if options.avx2 else "speed", result)
        for name, value in headline(result).items():
            write_part(name, value)


def chosen_ways(options: argparse.Namespace) -> list[str]:
    """Return the names of what is to be measured on this machine."""
    if options.only:
        return list(options.only)
    in_bfloat16 = [] if options.avx2 or not _multiplies_in_bfloat16() else list(IN_BFLOAT16)
    if options.quick:
        return [*QUICK]
    if options.bert_base:
        return [*BERT_BASE, *in_bfloat16]
    return [*WAYS, *in_bfloat16, *(ALONE if options.every_change else ())]


def _multiplies_in_bfloat16() -> bool:
    import torch

    from mrpc.core.model.precision import computes_in

    return computes_in("bf16", torch.device("cpu"))


def headline(result: dict[str, Any]) -> dict[str, Any]:
    """Return the figures that are quoted, all of one machine: whole epochs, the evaluation included."""
    seconds = {name: row["epoch_s"] for name, row in result["ways"].items()}
    return {
        "machine": result["machine"],
        "date": result["machine"]["date"],
        "speedup_vs_trainer_exact": seconds["trainer"] / seconds["exact"],
        "speedup_vs_trainer": seconds["trainer"] / seconds["fast"],
        "speedup_vs_pad_128": seconds["pad_128"] / seconds["fast"],
        "share_of_matmul_rate": result["ways"]["fast"]["share_of_matmul_rate"],
        **(bfloat16_headline(result) if "fast_bf16" in seconds else {}),
    }


def bfloat16_headline(result: dict[str, Any]) -> dict[str, Any]:
    """Return what is quoted of bfloat16, and the processor, which may be another than that of the others."""
    seconds = {name: row["epoch_s"] for name, row in result["ways"].items()}
    return {
        "processor": result["machine"]["processor"],
        "has_amx": result["machine"]["has_amx"],
        "speedup_vs_trainer_auto": seconds["trainer"] / seconds["fast_bf16"],
        "speedup_vs_trainer_bf16": seconds["trainer_bf16"] / seconds["fast_bf16"],
    }


def bert_base(result: dict[str, Any]) -> dict[str, Any]:
    """Return seconds an epoch of BERT-base; ``auto`` is None where it would be ``fast``."""
    seconds = {name: row["epoch_s"] for name, row in result["ways"].items()}
    auto_s = seconds.get("fast_bf16")
    return {
        "machine": result["machine"],
        "trainer_epoch_s": seconds["trainer"],
        "trainer_bf16_epoch_s": seconds.get("trainer_bf16"),
        "course_epoch_s": seconds["plain"],
        "exact_epoch_s": seconds["exact"],
        "fast_epoch_s": seconds["fast"],
        "auto_epoch_s": auto_s,
        "auto_three_epochs_s": auto_s and 3 * auto_s,
        "speed": result,
    }


if __name__ == "__main__":
    main()
