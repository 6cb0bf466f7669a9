"""The handlers of the Tokenize tab, called as a page or a stranger would call them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import gradio as gr
import pytest

from mrpc.app.services import Services
from mrpc.app.tokenize.checkpoints_view import on_checkpoints, parse_names
from mrpc.app.tokenize.data_view import on_back, on_explore, on_inspect_row, on_next
from mrpc.app.tokenize.model_view import on_model
from mrpc.app.tokenize.batch_view import on_draw, on_padding
from mrpc.app.tokenize.pair_panel import on_take_row
from mrpc.app.tokenize.pair_view import on_pair
from mrpc.app.tokenize.single_view import on_single
from mrpc.app.tokenize.speed_view import on_fail, on_measure, on_speed
from mrpc.app.tokenize.step_view import on_step
from mrpc.app.tokenize.tab import STEPS, on_inspect_pair, on_steps
from mrpc.settings import Settings

FIRST, SECOND = "This is the first sentence.", "This is the second one."
SKIP = gr.skip()
NONSENSE = (
    None,
    5,
    -1,
    float("nan"),
    float("inf"),
    True,
    "<b>",
    "\ud800",
    [],
    {},
    ["x"],
    {"a": 1},
    "a" * 20_000,
)


@pytest.fixture(scope="module")
def services(tmp_path_factory, tiny_data_dir: Path, tiny_checkpoint_dir: Path) -> Services:
    return Services(
        Settings(
            runs_dir=tmp_path_factory.mktemp("runs"),
            data_dir=tiny_data_dir,
            checkpoint_dirs=(tiny_checkpoint_dir,),
        )
    )


def is_alert(html: str) -> bool:
    return 'role="alert"' in html


BUILD = """
import json, sys, warnings
import gradio as gr
from mrpc.app.services import Services
from mrpc.settings import Settings
from mrpc.app.tokenize.tab import build_tokenize_tab
warnings.simplefilter("error")
services = Services(Settings())
with gr.Blocks() as demo, gr.Tabs():
    build_tokenize_tab(services)
fns = [[fn.api_name, fn.api_visibility, fn.concurrency_limit, fn.fn is None] for fn in demo.fns.values()]
heavy = sorted({"torch", "transformers", "datasets", "mrpc.core.model.pretrained"} & set(sys.modules))
print(json.dumps([fns, heavy]))
"""


def test_building_the_tab_loads_nothing_and_only_the_endpoint_is_public():
    # In a process of its own: what is imported here by now says nothing.
    done = subprocess.run(
        [sys.executable, "-c", BUILD], capture_output=True, text=True, check=True, timeout=120
    )
    fns, heavy = json.loads(done.stdout)
    assert heavy == []
    assert [name for name, visibility, _, _ in fns if visibility == "public"] == ["inspect_pair"]
    for name, visibility, limit, is_browser_only in fns:
        assert name == "inspect_pair" or visibility == "private"
        assert limit != 1 or is_browser_only, f"{name}: one user would wait for another"


def test_only_the_view_of_a_step_is_shown():
    for number, (_, name) in enumerate(STEPS):
        updates = on_steps(name)
        assert [update["visible"] for update in updates[2:]] == [place == number for place in range(8)]
        assert updates[0]["visible"] == updates[1]["visible"] == (name in {"pair", "single", "checkpoints"})


def test_each_view_draws_what_it_is_asked_for(services):
    pair = (FIRST, SECOND, "local:tiny-bert")
    drawn = {
        "pair": on_pair(services, *pair, 128, "longest_first", False),
        "single": on_single(services, *pair),
        "checkpoints": on_checkpoints(services, *pair, ["", "local:tiny-bert"]),
        "data": on_explore(services, *pair, "train", "both", "", 0),
        "speed": on_speed(services, *pair, "train", 0),
        "padding": on_padding(services, *pair, "train", "0-7", "longest", 8),
        "model": on_model(services, *pair, "train", 8, 42),
        "step": on_step(services, *pair, "One.", "Two.", "0.001"),
    }
    for name, outputs in drawn.items():
        assert outputs, name
        for html in outputs:
            assert html, name
            assert not is_alert(html), (name, html)
        assert "hl-keyword" in outputs[-1], name  # the code comes last


@pytest.mark.parametrize("nonsense", NONSENSE, ids=lambda value: repr(value)[:20])
def test_nonsense_gets_a_message_and_no_stack_trace(services, nonsense):
    pair = (FIRST, SECOND, "local:tiny-bert")
    drawn = [
        on_pair(services, nonsense, SECOND, "", 128, "longest_first", False),
        on_pair(services, FIRST, SECOND, "", nonsense, "longest_first", False),
        on_pair(services, FIRST, SECOND, "", 128, nonsense, False),
        on_single(services, FIRST, nonsense, ""),
        on_checkpoints(services, *pair, nonsense),
        on_explore(services, *pair, nonsense, "both", "", 0),
        on_explore(services, *pair, "train", nonsense, "", 0),
        on_explore(services, *pair, "train", "both", nonsense, 0),
        on_explore(services, *pair, "train", "both", "", nonsense),
        on_padding(services, *pair, nonsense, "0-7", "longest", 8),
        on_padding(services, *pair, "train", nonsense, "longest", 8),
        on_padding(services, *pair, "train", "0-7", nonsense, 8),
        on_padding(services, *pair, "train", "0-7", "longest", nonsense),
        on_speed(services, *pair, nonsense, 0),
        on_speed(services, *pair, "train", nonsense),
    ]
    if nonsense != 5:
        drawn += [
            on_model(services, *pair, "train", nonsense, 42),
            on_model(services, *pair, "train", 8, nonsense),
        ]
    drawn += [
        on_model(services, *pair, nonsense, 8, 42),
        on_step(services, *pair, nonsense, "Two.", "0.001"),
        on_step(services, *pair, "One.", "Two.", nonsense),
        list(on_take_row(services, nonsense, 0))[2:],
        list(on_inspect_row(services, "train", nonsense))[2:3],
        [on_fail(services, nonsense)],
        [next(on_measure(services, nonsense, 0, ["batched"], ""))[0]],
        [next(on_measure(services, "train", 0, nonsense, ""))[0]],
    ]
    for outputs in drawn:
        for html in outputs:
            assert isinstance(html, str)
            assert "Traceback" not in html
            assert "<b>" not in html
            html.encode("utf-8", "strict")  # what is sent can be written
    assert on_next(services, nonsense, "both", "", 0) == SKIP
    assert isinstance(on_back(nonsense), int)
    on_draw(services, nonsense)


@pytest.mark.parametrize("checkpoint", ["nowhere", "../../etc/passwd", 5, None, ["x"], {}])
def test_a_checkpoint_that_is_not_in_the_list_is_refused(services, checkpoint):
    outputs = on_pair(services, FIRST, SECOND, checkpoint, 128, "longest_first", False)
    assert is_alert(outputs[0]) or not checkpoint


def test_next_stays_on_the_last_page(services):
    assert on_next(services, "train", "both", "", 0) == 10
    assert on_next(services, "train", "both", "", 60) == 60
    assert on_back(60) == 50
    assert on_back(3) == 0


def test_a_row_is_opened_in_the_first_view(services):
    first, _, message, step, split, number = on_inspect_row(services, "validation", 2)
    assert first == services.explorer.row("validation", 2).sentence1
    assert (step, split, number) == ("pair", "validation", 2)
    assert "idx 66" in message


def test_names_of_checkpoints_in_an_address():
    assert parse_names("a,b") == ["a", "b"]
    assert parse_names("a,b,c,d") == ["a", "b", "c"]
    assert parse_names("") is None


def test_the_endpoint_answers_and_refuses(services):
    answer = on_inspect_pair(services, FIRST, SECOND, "")
    assert len(answer["tokens"]) == 15
    with pytest.raises(gr.Error, match="Sentence 1 is empty"):
        on_inspect_pair(services, "", SECOND, "")
    with pytest.raises(gr.Error, match="&lt;b&gt;"):
        on_inspect_pair(services, FIRST, SECOND, "<b>")
