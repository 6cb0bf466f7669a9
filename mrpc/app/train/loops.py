"""The three training loops as text, with their differences, and the Trainer's settings as a table.

The sources are read from the very files that run, not imported: a page shows what trains.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mrpc.app.templates import render
from mrpc.config import LOOP_HELP, LOOP_TITLES, LoopName, build_config
from mrpc.errors import UnknownRunError
from mrpc.files import PROJECT_DIR, read_model
from mrpc.runs.layout import TrainerReport
from mrpc.runs.run import Run

if TYPE_CHECKING:
    from mrpc.app.services import Services
    from mrpc.core.model.trainer_arguments import ArgumentRow

LOOPS_DIR = PROJECT_DIR / "mrpc" / "training" / "loops"
SHORT_LOOPS_DIR = Path(__file__).resolve().parent / "short_loops"
NOTE_MARK = "  #: "
"""Behind it, in a short loop, stands what is new in the line."""

LOOPS: Sequence[LoopName] = ("pytorch", "accelerate", "trainer")
"""The loops in the order in which one grows out of the other."""

MAX_VALUE_CHARS = 60
"""Of a setting of Trainer's in the table."""

Mark = Literal["same", "gone", "new", "blank"]


@dataclass(frozen=True)
class SourceLine:
    """One line of a loop.

    Attributes:
        text: the line, without its end.
        note: what is to be known about it, or "".
        mark: "gone" in the plain loop where Accelerate has it no more, "new" where another loop has what the
            plain one has not, "same" elsewhere; "blank" stands in for a line that the neighbour has.
    """

    text: str
    mark: Mark = "same"
    note: str = ""


@dataclass(frozen=True)
class LoopSource:
    """One loop, for people.

    Attributes:
        name: as in a config.
        title: what people call it.
        limits: what it can do and what it cannot.
        file: its path within the project.
        lines: its source.
    """

    name: LoopName
    title: str
    limits: str
    file: str
    lines: list[SourceLine]


def loop_files() -> list[LoopSource]:
    """Return plain PyTorch, Accelerate and Trainer; the first two line up with each other."""
    texts = {name: _read(LOOPS_DIR / f"{name}.py") for name in LOOPS}
    plain, accelerate = _side_by_side(texts["pytorch"], texts["accelerate"])
    _, trainer = _side_by_side(texts["pytorch"], texts["trainer"])
    return _with_titles(plain, accelerate, _without_blanks(trainer))


def short_loops() -> list[LoopSource]:
    """Return the loops as the course has them, in some 25 lines each, with what changes marked."""
    parted = [
        [line.partition(NOTE_MARK) for line in _read(SHORT_LOOPS_DIR / f"{name}.txt")] for name in LOOPS
    ]
    plain, accelerate, trainer = ([code for code, _, _ in lines] for lines in parted)
    marked = [*_side_by_side(plain, accelerate), [SourceLine(text) for text in trainer]]
    noted = [
        [replace(line, note=note) for line, (_, _, note) in zip(_without_blanks(lines), whole, strict=True)]
        for lines, whole in zip(marked, parted, strict=True)
    ]
    return _with_titles(*noted)


def trainer_arguments(run: Run | None) -> list[ArgumentRow]:
    """Return every field of ``TrainingArguments`` with the settings of a run, or of the preset ``course``."""
    from mrpc.core.model.trainer_arguments import argument_rows  # brings transformers: seconds

    if run is None:
        return argument_rows(build_config({"preset": "course", "loop": "trainer"}))
    return argument_rows(run.config.hyperparameters, run.read_status().num_steps)


def read_trainer_report(run: Run) -> TrainerReport | None:
    """Return what Trainer reported of an evaluation, if the run trained with it."""
    return read_model(run.paths.trainer_report, TrainerReport)


def arguments_html(services: Services, run_id: object) -> str:
    """Show the settings of a run in Trainer's words, those of the course without one."""
    services.import_libraries()
    try:
        run = services.store.open(run_id)
    except UnknownRunError:  # there is none, or it was deleted meanwhile
        run = None
    return render(
        "train/arguments.html",
        rows=trainer_arguments(run),
        report=read_trainer_report(run) if run else None,
        whose=f"the run {run.run_id}" if run else "the preset course",
        shorten=_shorten,
    )


def _read(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_VALUE_CHARS else text[: MAX_VALUE_CHARS - 3] + "..."


def _with_titles(*lines: list[SourceLine]) -> list[LoopSource]:
    return [
        LoopSource(name, LOOP_TITLES[name], LOOP_HELP[name], f"mrpc/training/loops/{name}.py", of_loop)
        for name, of_loop in zip(LOOPS, lines, strict=True)
    ]


def _without_blanks(lines: list[SourceLine]) -> list[SourceLine]:
    return [line for line in lines if line.mark != "blank"]


def _side_by_side(one: list[str], other: list[str]) -> tuple[list[SourceLine], list[SourceLine]]:
    """Line two texts up with each other; both results have the same number of lines."""
    blank = SourceLine("", "blank")
    left, right = [], []
    # A line that only moved further in is no difference.
    words1, words2 = [line.strip() for line in one], [line.strip() for line in other]
    matcher = difflib.SequenceMatcher(None, words1, words2, autojunk=False)
    for kind, start1, end1, start2, end2 in matcher.get_opcodes():
        if kind == "equal":
            left += [SourceLine(text) for text in one[start1:end1]]
            right += [SourceLine(text) for text in other[start2:end2]]
            continue
        gone = [SourceLine(text, "gone") for text in one[start1:end1]]
        new = [SourceLine(text, "new") for text in other[start2:end2]]
        for before, after in zip_longest(gone, new, fillvalue=blank):
            left.append(before)
            right.append(after)
    return [_unmark_empty(line) for line in left], [_unmark_empty(line) for line in right]


def _unmark_empty(line: SourceLine) -> SourceLine:
    """An empty line is no difference."""
    return replace(line, mark="same") if not line.text and line.mark in ("gone", "new") else line
