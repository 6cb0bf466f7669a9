"""``make space-check``: install as the builder of a Hugging Face Space does, then test there.

The order and the versions are those of the builder (public build logs, 2026-11): what every Space has, then
in one go requirements.txt, Gradio as the README's head names it, and ``spaces``; on ZeroGPU torch is capped.
The unit tests and a start as a Space run in that environment.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
FIRST = ["datasets", "huggingface-hub", "protobuf<4", "click<8.1"]
BESIDE = ["uvicorn", "websockets", "spaces", "torch<=2.13.0"]
SHOWN = (
    "python",
    "torch",
    "gradio",
    "pydantic",
    "click",
    "protobuf",
    "spaces",
    "mcp",
    "authlib",
    "starlette",
)
QUICK = ["-m", "not slow", "--ignore", "tests/integration", "--ignore", "tests/e2e"]
# Other versions than those of constraints.txt are what this is about.
QUICK += ["--deselect", "tests/test_packaging.py::TestConstraints"]


def front_matter() -> dict[str, object]:
    """Return the head of README.md, which tells the builder what to build."""
    return yaml.safe_load((ROOT / "README.md").read_text(encoding="utf-8").split("---\n")[1])


def main() -> int:
    """Install and test; the exit code is that of the first step that failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv-space", help="where to install")
    parser.add_argument("--keep", action="store_true", help="take the environment that is there")
    parser.add_argument("tests", nargs="*", default=None, help="these tests instead of the unit tests")
    given = parser.parse_args()
    head = front_matter()
    python = given.venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (given.keep and python.exists()):
        make_environment(given.venv, str(head["python_version"]))
        gradio = f"gradio[oauth,mcp]=={head['sdk_version']}"
        pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
        run([*pip, *FIRST])
        run([*pip, "-r", "requirements.txt", gradio, *BESIDE])
        run([*pip, "-r", "tests/requirements.txt"])
    run([str(python), "-c", SAY_VERSIONS, *SHOWN])
    run([str(python), "-m", "pip", "check", "--disable-pip-version-check"], may_fail=True)
    run([str(python), "-m", "pytest", "-q", *(given.tests or QUICK)])
    starts = ["tests/integration/test_space.py", "tests/integration/test_sign_in.py"]
    run([str(python), "-m", "pytest", "-q", *starts])
    return 0


SAY_VERSIONS = """
import sys
from importlib import metadata
for name in sys.argv[1:]:
    print(name, sys.version.split()[0] if name == "python" else metadata.version(name))
"""


def make_environment(path: Path, version: str) -> None:
    """Make an empty environment with the Space's Python, or with this one where it cannot be had."""
    python = shutil.which(f"python{version}")
    if python is not None and subprocess.run([python, "-c", ""], capture_output=True).returncode == 0:
        run([python, "-m", "venv", "--clear", str(path)])
        return
    here = ".".join(map(str, sys.version_info[:2]))
    print(f"No python{version} on PATH that starts; this checks with Python {here}.", flush=True)
    venv.create(path, clear=True, with_pip=True)


def run(command: list[str], may_fail: bool = False) -> None:
    """Run a step in the project's folder; end with its exit code if it fails."""
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode and not may_fail:
        sys.exit(done.returncode)


if __name__ == "__main__":
    sys.exit(main())
