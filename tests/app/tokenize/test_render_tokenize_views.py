"""Rows, batches, measurements and steps as HTML."""

from __future__ import annotations

import re

import pytest

from mrpc.app.tokenize.data import Page, Row, SplitOverview
from mrpc.app.tokenize.measurement import WayProgress
from mrpc.app.tokenize.model_input import ModelInput
from mrpc.app.tokenize.batch import BatchRow, PaddedBatch, SplitPadding, Strategy
from mrpc.app.tokenize.render_batches import render_batch, render_split_padding
from mrpc.app.tokenize.render_rows import render_features, render_overview, render_page
from mrpc.app.tokenize.render_speed import WAYS, render_failed_map, render_ways
from mrpc.app.tokenize.render_steps import render_model_input, render_training_step
from mrpc.app.tokenize.speed import FailedMap
from mrpc.app.tokenize.training_step import MovedPart, TrainingStep
from mrpc.core.text.batching import PaddingReport

ROW = Row(14, "A <b>bold</b> court", "The COURT & more", 1, 15)


def test_rows_are_escaped_and_finds_marked():
    source = render_page(Page([ROW], 20, 21, 100), "court", True)
    assert "A &lt;b&gt;bold&lt;/b&gt; <mark>court</mark>" in source
    assert "The <mark>COURT</mark> &amp; more" in source
    assert "21 of 100 rows found, 21 to 21 shown" in source
    assert 'data-row="14" aria-label="Inspect row 14"' in source


@pytest.mark.parametrize("query", ["<b>", "&", ".*", "(", "amp;", "b>b"])
def test_any_text_can_be_marked(query):
    source = render_page(Page([ROW], 0, 1, 1), query, True)
    assert "<b>" not in source
    text = re.sub("</?mark>", "", source)
    assert "A &lt;b&gt;bold&lt;/b&gt; court" in text
    assert "The COURT &amp; more" in text


def test_no_rows_say_what_to_do():
    assert "Search for less" in render_page(Page([], 0, 0, 9), "x", True)


def test_overview_draws_what_was_counted():
    overview = SplitOverview("train", 10, (4, 6), 20, ([0, 4], [1, 5]))
    source = render_overview(overview)
    assert "6 equivalent, 60.0 %" in source
    assert "20 or more characters: 5 equivalent, 4 not" in source
    heights = [float(height) for height in re.findall(r'class="l1"[^>]* height="([\d.]+)"', source)]
    assert heights == [pytest.approx(48 / 5, abs=0.01), 48]
    numbers = re.findall(r"<td>(.*?)</td><td>(.*?)</td><td>(.*?)</td>", source)
    assert numbers == [("0 to 19", "1", "0"), ("20 or more", "5", "4")]
    assert "ClassLabel" in render_features({"train": 10}, {"label": "ClassLabel"})


def test_a_batch_is_drawn_token_by_token():
    rows = [
        BatchRow(3, 4, [("special", 1), ("s1", 1), ("special", 1), ("s2", 1), ("pad", 2)]),
        BatchRow(5, 6, [("special", 1), ("s1", 3), ("special", 1), ("s2", 1)]),
    ]
    lengths = {"longest": 6, "multiple_of_8": 8, "split": 9, "128": 128, "512": 512}
    source = render_batch(PaddedBatch("longest", rows, 6, {"input_ids": (2, 6)}, lengths))
    flexes = re.findall(r'class="tk-seg (\w+)" style="flex:(\d+)"', source)
    assert flexes == [(kind, str(num)) for row in rows for kind, num in row.segments]
    assert "2 × 6" in source
    assert "16.7 % padding" in source
    assert 'aria-label="Row 3: 4 tokens and 2 of padding"' in source
    assert "[2, 6]" in source


def test_bars_end_where_the_scale_does():
    strategies = [
        Strategy(name, PaddingReport(1, 100, positions, 10, float(positions)))
        for name, positions in (("random", 135), ("grouped", 102), ("128", 240), ("512", 960))
    ]
    source = render_split_padding(SplitPadding(50, 80, 53.2, 103, strategies), 8, "train")
    assert "The first 50 of 80 pairs" in source
    assert source.count("tk-bar off") == 1
    assert "× 1.350" in source
    assert "× 9.600" in source
    widths = [float(width) for width in re.findall(r'class="pad" style="width:([\d.]+)%', source)]
    assert widths == sorted(widths[:1]) + widths[1:]
    assert all(0 <= width <= 100 for width in widths)


def test_every_state_of_a_measurement_is_shown():
    states = {
        "waiting": {},
        "starting": {},
        "running": {"rows_done": 50, "seconds": 2.0, "added_bytes": 10_000_000},
        "done": {"rows_done": 100, "seconds": 2.0, "added_bytes": -5},
        "failed": {"error": "<b>no</b>"},
        "cancelled": {"rows_done": 20, "seconds": 1.0, "error": "Nobody was looking any more."},
    }
    for state, values in states.items():
        source = render_ways([WayProgress("batched", state, 100, **values)])
        assert WAYS["batched"][0] in source
        assert "<b>" not in source
        assert ("<dl>" in source) == (state in {"running", "done", "cancelled"})
    running = render_ways([WayProgress("batched", "running", 100, **states["running"])])
    assert 'aria-valuenow="50"' in running
    assert "<dd>25</dd>" in running
    assert "no word before its end" in render_ways([WayProgress("one_call", "running", 100)])


def test_the_failing_map_is_explained():
    failed = FailedMap(1000, "pyarrow.lib.ArrowInvalid", "<len>", ["a", "testtest"], 1000)
    source = render_failed_map(failed, "failing()", "mended()")
    assert "pyarrow.lib.ArrowInvalid: &lt;len&gt;" in source
    assert "1,000 rows" in source
    assert source.index("failing()") < source.index("ArrowInvalid") < source.index("mended()")


def test_the_way_into_the_model():
    ready = ModelInput(
        rows=[5],
        columns_tokenized={"sentence1": "Value('string')", "label": "ClassLabel", "input_ids": "List"},
        columns_ready={"labels": "ClassLabel", "input_ids": "List"},
        shapes={"input_ids": (1, 9)},
        dtype="torch.int64",
        labels=[1],
        loss=0.7,
        logits=[[0.1, -0.2]],
        new_parameters=["classifier.weight"],
    )
    source = render_model_input(ready)
    for part in (
        "<del><code>sentence1</code></del>",
        "renamed to",
        "[1, 9]",
        "0.7000",
        "0.6931",
        "[1, 2]",
        "-0.2000",
    ):
        assert part in source


def test_what_a_step_changed():
    part = MovedPart("the new head", 770, 0.0277, 0.001, 0.55)
    step = TrainingStep([[], []], {"input_ids": (2, 16)}, 0.7, 0.42, [0.5, 0.5], [0.6, 0.7], part, part)
    source = render_training_step(step, 1e-3)
    for text in ("0.7000", "0.4200", "-0.2800", "770", "0.0277", "[2, 16]"):
        assert text in source
