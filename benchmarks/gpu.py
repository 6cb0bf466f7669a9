"""Training steps of BERT-base shapes on a GPU: eager, compiled, graph-captured, float32 and bfloat16.

    python -m benchmarks.gpu                     # needs a GPU; says so where there is none
    python -m benchmarks.gpu --device cpu --layers 2 --width 128 --steps 3      # to see it run

The weights are random: speed does not depend on them. Batches of 16 pairs of 64 tokens; medians of blocks
that take turns. Writes the part ``gpu`` of ``benchmarks/results.json`` when it ran on one.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import BertConfig, BertForSequenceClassification

from benchmarks.results import describe_machine, write_part

BATCH_SIZE, LENGTH, NUM_BLOCKS = 16, 64, 5


class Step:
    """One training step of a fresh model: forward, backward, clipping, AdamW."""

    def __init__(self, config: BertConfig, device: torch.device, bf16: bool, compiled: bool) -> None:
        torch.manual_seed(0)
        self.model = BertForSequenceClassification(config).to(device).train()
        self.forward: Callable[..., Any] = torch.compile(self.model) if compiled else self.model
        is_cuda = device.type == "cuda"
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=5e-5, fused=True, capturable=is_cuda)
        shape = (BATCH_SIZE, LENGTH)
        self.batch = {
            "input_ids": torch.randint(1000, config.vocab_size, shape, device=device),
            "token_type_ids": torch.zeros(shape, dtype=torch.long, device=device),
            "attention_mask": torch.ones(shape, dtype=torch.long, device=device),
            "labels": torch.arange(BATCH_SIZE, device=device) % 2,
        }
        self._autocast = torch.autocast(device.type, dtype=torch.bfloat16, enabled=bf16)

    def __call__(self) -> None:
        with self._autocast:
            loss = self.forward(**self.batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=False)


def captured(step: Step) -> Callable[[], None]:
    """Return the step as a CUDA graph: the same kernels, launched at once."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def measure(config: BertConfig, device: torch.device, num_steps: int) -> dict[str, dict[str, float]]:
    """Return the median milliseconds of a step, with the lowest and the highest block, a way a row."""
    ways: dict[str, Callable[[], None]] = {}
    for bf16 in (False, True):
        kind = "bf16" if bf16 else "float32"
        ways[f"eager {kind}"] = Step(config, device, bf16, compiled=False)
        if device.type == "cuda":
            ways[f"compiled {kind}"] = Step(config, device, bf16, compiled=True)
            ways[f"graph {kind}"] = captured(Step(config, device, bf16, compiled=False))
    blocks: dict[str, list[float]] = {name: [] for name in ways}
    for block in range(NUM_BLOCKS + 1):
        for name, step in ways.items():
            _synchronize(device)
            began_at = time.perf_counter()
            for _ in range(num_steps):
                step()
            _synchronize(device)
            if block:  # the first compiles and warms up
                blocks[name].append((time.perf_counter() - began_at) / num_steps * 1000)
    return {
        name: {"step_ms": statistics.median(each), "low_ms": min(each), "high_ms": max(each)}
        for name, each in blocks.items()
    }


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Measure and print; keep the figures of a GPU."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--steps", type=int, default=20, help="steps in a block")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("There is no GPU here; nothing was measured.")
        return
    device = torch.device(options.device)
    config = BertConfig(
        num_hidden_layers=options.layers,
        hidden_size=options.width,
        num_attention_heads=options.width // 64,
        intermediate_size=4 * options.width,
    )
    rows = measure(config, device, options.steps)
    for name, row in rows.items():
        print(f"{name:18s} {row['step_ms']:8.2f} ms a step ({row['low_ms']:.2f} to {row['high_ms']:.2f})")
    if device.type == "cuda":
        write_part(
            "gpu", {"machine": {**describe_machine(), "gpu": torch.cuda.get_device_name()}, "ways": rows}
        )


if __name__ == "__main__":
    main()
