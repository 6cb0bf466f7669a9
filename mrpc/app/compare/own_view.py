"""A person's own pairs: pasted or uploaded, answered by both sides, downloaded."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.compare.follow import followed
from mrpc.app.compare.frame import ACT, Frame
from mrpc.app.compare.render_sides import render_note, render_scoreboard
from mrpc.app.compare.widgets import build_table, quiet
from mrpc.core.data.pairs import SUFFIXES

if TYPE_CHECKING:
    from mrpc.app.compare.own_pairs import OwnAnswers
    from mrpc.app.services import Services

NOTE = quiet(
    "One pair a line: two sentences with a tab or ||| between them, and a label 0 or 1 after another one if "
    "you have it. Or a file with two columns of sentences and, if known, one of labels: .csv, .tsv, .jsonl, "
    ".json or .parquet, also .gz, up to 20,000 pairs and 10 MB."
)


def build_own_view(services: Services, frame: Frame) -> None:
    """Build the view and bind its handlers."""
    gr.HTML(NOTE)
    with gr.Row(equal_height=False):
        text = gr.Textbox(
            label="Your pairs", lines=6, max_lines=14, elem_id="cmp-own-text", scale=2, min_width=280
        )
        file = gr.File(
            label="or a file",
            file_types=[*SUFFIXES[:-1], ".gz"],
            type="filepath",
            elem_id="cmp-own-file",
            scale=1,
            min_width=240,
            height=170,
        )
    with gr.Row(elem_classes="cmp-controls"):
        ask = gr.Button("Ask both sides", variant="primary", scale=0, elem_id="cmp-own-ask")
        stop = gr.Button("Cancel", scale=0, elem_id="cmp-own-stop")
        download = gr.DownloadButton(
            "Download all answers", visible=False, scale=0, elem_id="cmp-own-download"
        )
    status = gr.HTML(elem_id="cmp-own-status")
    summary = gr.HTML(elem_id="cmp-own-summary", apply_default_css=False)
    answers = build_table("cmp-own-answers")
    asking = ask.click(
        partial(on_ask, services, Path(download.GRADIO_CACHE)),
        inputs=[*frame.sides(), text, file],
        outputs=[status, download, summary, answers],
        **ACT,
    )
    stop.click(lambda: render_note("Cancelled."), outputs=status, cancels=asking, **ACT)


def on_ask(
    services: Services, cache_dir: Path, left: Any, right: Any, text: Any, path: Any
) -> Iterator[list[Any]]:
    """Ask both sides and offer the answers."""

    def work(report: Any, should_stop: Any) -> OwnAnswers:
        return services.comparison.answer_own(left, right, text, path, report, should_stop)

    yield from followed(work, 4, partial(_render_own, cache_dir))


def _render_own(cache_dir: Path, found: OwnAnswers) -> list[Any]:
    from mrpc.app.compare.render_own_pairs import answers_table, describe_answers

    comparison = found.comparison
    board = render_scoreboard(comparison) if comparison is not None else ""
    return [
        gr.update(value=write_download(cache_dir, "your-pairs.csv", found.as_csv()), visible=True),
        render_note(describe_answers(found)) + board,
        answers_table(found),
    ]


def write_download(cache_dir: Path, name: str, content: str) -> str:
    """Write a file where Gradio may serve it from, in a folder of its own, and return its path."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(dir=cache_dir, prefix="compare-")) / name
    path.write_text(content, encoding="utf-8-sig" if name.endswith(".csv") else "utf-8", newline="")
    return str(path)
