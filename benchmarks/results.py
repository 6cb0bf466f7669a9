"""``benchmarks/results.json``: what the benchmarks measured, each its own part, never written by hand."""

from __future__ import annotations

import json
import os
import platform
from datetime import date
from pathlib import Path
from typing import Any

import psutil

from mrpc.runs.process import installed_versions

AVX2_ONLY = {
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
}
"""Environment that holds torch and the libraries below it to AVX2."""

RESULTS = Path(__file__).resolve().parent / "results.json"


def describe_machine() -> dict[str, Any]:
    """Return what a figure depends on beside the code."""
    return {
        "date": date.today().isoformat(),
        "processor": _processor(),
        "has_amx": has_amx(),
        "num_cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "versions": installed_versions(),
    }


def read_results() -> dict[str, Any]:
    """Return everything that was measured so far."""
    return dict(json.loads(RESULTS.read_text())) if RESULTS.is_file() else {}


def write_part(name: str, part: Any) -> None:
    """Keep the figures of one benchmark; those of the others stay."""
    RESULTS.write_text(json.dumps({**read_results(), name: part}, indent=2) + "\n")


def has_amx() -> bool:
    """Tell whether libraries may use the processor's matrix units: Intel's AMX, for bfloat16."""
    return "amx_bf16" in _cpu_fields().get("flags", "").split() and not _is_held_to_avx2()


def _is_held_to_avx2() -> bool:
    return os.environ.get("ATEN_CPU_CAPABILITY") == "avx2"


def _cpu_fields() -> dict[str, str]:
    """Return what Linux says of the last processor; elsewhere nothing."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in lines.items()}


def _processor() -> str:
    """Return the processor's name and the widest vectors that it has."""
    fields = _cpu_fields()
    if not fields:
        return platform.processor() or platform.machine()
    flags = fields.get("flags", "").split()
    vectors = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "SSE"
    if _is_held_to_avx2() and vectors == "AVX-512":
        vectors = "held to AVX2"
    elif has_amx():
        vectors += " and AMX"
    return f"{fields.get('model name', platform.machine())}, {vectors}"
