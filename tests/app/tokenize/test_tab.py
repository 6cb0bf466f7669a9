"""The views of the Inspect tab, called as a page or a stranger would call them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mrpc.app.access import Access
from mrpc.app.services import Services
from mrpc.app.task import Task
from mrpc.app.tokenize.batch_view import (
    draw_batch,
    draw_failing_map,
    draw_speed,
    draw_speed_code,
    on_draw_rows,
)
from mrpc.app.tokenize.data_view import APPS_DATA, draw_data, on_select
from mrpc.app.tokenize.pair_view import draw_checkpoints, draw_one_or_two, draw_origin, draw_pair, parse_names
from mrpc.app.tokenize.step_view import draw_model_input, draw_training_step
from mrpc.app.tokenize.tab import add_endpoints
from mrpc.app.visitors import Caller, called_by
from mrpc.errors import AccessError, InputError, MrpcError
from mrpc.runs.store import RunStore
from mrpc.settings import Settings
from tests.app.endpoints import endpoints_of
from tests.html import parse

FIRST, SECOND = "This is the first sentence.", "This is the second one."
TINY = "local:tiny-bert"
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


BUILD = """
import json, sys, warnings
import gradio as gr
from mrpc.app.services import Services
from mrpc.app.spine import build_spine
from mrpc.app.tokenize.tab import build_inspect_tab
from mrpc.settings import Settings
warnings.simplefilter("error")
services = Services(Settings())
with gr.Blocks() as demo:
    build_inspect_tab(services, build_spine(services))
fns = [[fn.api_name, fn.api_visibility, fn.concurrency_limit, fn.fn is None] for fn in demo.fns.values()]
heavy = sorted({"torch", "transformers", "datasets"} & set(sys.modules))
print(json.dumps([fns, heavy, len(demo.blocks)]))
"""


def test_building_the_tab_loads_nothing_and_only_the_endpoint_is_public():
    # In a process of its own: what is imported here by now says nothing.
    done = subprocess.run(
        [sys.executable, "-c", BUILD], capture_output=True, text=True, check=True, timeout=120
    )
    fns, heavy, num_components = json.loads(done.stdout)
    assert heavy == []
    assert [name for name, visibility, _, _ in fns if visibility == "public"] == ["inspect_pair"]
    for name, visibility, limit, is_browser_only in fns:
        assert name == "inspect_pair" or visibility == "private"
        assert limit != 1 or is_browser_only, f"{name}: one user would wait for another"
    assert num_components <= 100
    assert len(fns) <= 35


DRAW_PAIR = """
import sys
from mrpc.app.services import Services
from mrpc.app.tokenize.pair_view import draw_checkpoints, draw_one_or_two, draw_origin, draw_pair
from mrpc.settings import Settings
services = Services(Settings())
draw_pair(services, "One.", "Two.", "", 128, "longest_first", True)
draw_one_or_two(services, "One.", "Two.", "")
draw_checkpoints(services, "One.", "Two.", [""])
print("torch" in sys.modules)
"""


@pytest.mark.parametrize("optimize", [[], ["-O"]])
def test_the_first_tokens_do_not_wait_for_torch(optimize):
    done = subprocess.run(
        [sys.executable, *optimize, "-c", DRAW_PAIR], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == "False\n"


def drawn(services: Services, **changed: Any) -> dict[str, Callable[[], list[str]]]:
    """Return what draws each view, with some of its inputs changed."""

    def given(**usual: Any) -> dict[str, Any]:
        return {name: changed.get(name, value) for name, value in usual.items()}

    pair = given(sentence1=FIRST, sentence2=SECOND, checkpoint=TINY)

    def of_pair() -> list[str]:
        inputs = given(max_length=128, truncation="longest_first", padding=False)
        shown = draw_pair(services, **pair, **inputs)
        return [shown["tokens"], shown["details"]]

    def data() -> list[str]:
        shown = draw_data(services, **given(split="train", label="both", query="", start=0))
        return [shown["rows"], shown["about"]]

    def batch() -> list[str]:
        inputs = given(checkpoint=TINY, split="train", rows="0-7", pad_to="longest", batch_size=8)
        shown = draw_batch(services, **inputs)
        return [shown["batch"], shown["report"]]

    return {
        "pair": of_pair,
        "one-or-two": lambda: [draw_one_or_two(services, **pair)],
        "checkpoints": lambda: [
            draw_checkpoints(services, **given(sentence1=FIRST, sentence2=SECOND, compared=["", TINY]))
        ],
        "data": data,
        "batch": batch,
        "speed-code": lambda: [
            draw_speed_code(services, **given(checkpoint=TINY, split="train", num_rows=0))
        ],
        "model-input": lambda: [
            draw_model_input(services, **given(checkpoint=TINY, split="train", batch_size=8, seed=42))
        ],
        "training-step": lambda: [
            draw_training_step(services, **pair, **given(sequences="pair", rate="0.001"), task=Task())
        ],
    }


def test_each_view_draws_what_it_is_asked_for_and_its_code(services):
    for name, draw in drawn(services).items():
        views = [parse(source) for source in draw()]
        assert not [alert for view in views for alert in view.all(role="alert")], name
        folds = [fold.one("summary").text for view in views for fold in view.all("details", cls="fold")]
        assert "Code: the same with the plain libraries" in folds, name
        code = [
            view.one("pre", aria_label="code").raw_text
            for view in views
            if view.all("pre", aria_label="code")
        ]
        assert len(code) == 1, name
        compile(code[0], f"{name}.py", "exec")
        assert "import" in code[0], name


@pytest.mark.parametrize("nonsense", NONSENSE, ids=lambda value: repr(value)[:20])
def test_nonsense_is_refused_in_words(services, nonsense):
    of_views = {
        "pair": ("sentence1", "sentence2", "checkpoint", "max_length", "truncation"),
        "one-or-two": ("sentence1", "sentence2", "checkpoint"),
        "checkpoints": ("sentence1", "compared"),
        "data": ("split", "label", "query", "start"),
        "batch": ("checkpoint", "split", "rows", "pad_to", "batch_size"),
        "speed-code": ("split", "checkpoint"),
        "model-input": ("split", "checkpoint", *(() if nonsense == 5 else ("batch_size", "seed"))),
        "training-step": ("sentence1", "checkpoint", "rate"),
    }
    for view, names in of_views.items():
        for name in names:
            try:
                sources = drawn(services, **{name: nonsense})[view]()
            except MrpcError:
                continue
            for source in sources:
                source.encode("utf-8", "strict")  # what is sent can be written
                assert not parse(source).all("b"), (view, name)
    draw_rows_or_refuse = [
        lambda: on_draw_rows(services, nonsense),
        lambda: draw_failing_map(services, nonsense),
        lambda: draw_speed(services, "", nonsense, 0, ["batched"], Task()),
        lambda: draw_speed(services, "", "train", 0, nonsense, Task()),  # type: ignore[arg-type]
    ]
    for call in draw_rows_or_refuse:
        with pytest.raises(MrpcError):
            call()
    draw_speed_code(services, TINY, "train", nonsense)


@pytest.mark.parametrize("checkpoint", ["nowhere", "../../etc/passwd", 5, ["x"], {"a": 1}])
def test_a_checkpoint_that_is_not_in_the_list_is_refused(services, checkpoint):
    with pytest.raises(MrpcError, match="it must be one of"):
        draw_pair(services, FIRST, SECOND, checkpoint, 128, "longest_first", False)


def test_a_row_becomes_the_current_pair(services):
    selected = on_select(services, "validation", "2", None)
    row = services.explorer.row("validation", 2)
    assert selected == {"sentence1": row.sentence1, "sentence2": row.sentence2}
    said = parse(draw_origin(services, **selected)).text
    assert said == "Row 2 of validation, idx 66: not equivalent."


def test_uploaded_data_can_be_browsed_by_the_owner_alone(services, tmp_path, monkeypatch):
    monkeypatch.setattr(services, "store", RunStore(tmp_path / "runs"))
    monkeypatch.delitem(services.__dict__, "own_data", raising=False)
    path = tmp_path / "questions.csv"
    rows = "".join(f"Question {at}?,Is it {at}?,{('different', 'same')[at % 2]}\n" for at in range(30))
    path.write_text(f"sentence1,sentence2,label\n{rows}")
    name = services.own_data.keep([str(path)])
    shown = draw_data(services, "validation", "equivalent", "", 0, name)
    said = parse(shown["rows"])
    assert {one.text for one in said.all("span", cls="tk-label")} == {"same"}
    assert ("same", "equivalent") in shown["label"]["choices"]
    assert ("questions.csv (30 pairs)", name) in shown["data"]["choices"]
    about = parse(shown["about"]).text
    assert "Always answering “same” is right" in about
    assert "equivalent" not in about
    assert f"load_dataset(\"parquet\", data_dir='{services.own_data.get(name).data_dir}')" in about
    assert on_select(services, "train", "0", None, name)["sentence1"].startswith("Question")
    guarded = Access(Settings(host="0.0.0.0"))
    monkeypatch.setattr(services, "access", guarded)
    with called_by(Caller(is_owner=False)):
        assert draw_data(services, "train", "both", "", 0)["data"]["choices"] == APPS_DATA
        for data in (name, "0" * 16, 5, ["x"], {"a": 1}):
            with pytest.raises(AccessError):
                draw_data(services, "train", "both", "", 0, data)
            with pytest.raises(AccessError):
                on_select(services, "train", "0", None, data)
    with pytest.raises(InputError, match="There is no data set"):
        draw_data(services, "train", "both", "", 0, "0" * 16)


def test_a_page_is_turned(services):
    assert on_select(services, "train", None, "20") == {"start": 20}


@pytest.mark.parametrize("nonsense", NONSENSE, ids=lambda value: repr(value)[:20])
def test_a_pair_that_is_not_in_the_data_is_no_row(services, nonsense):
    assert draw_origin(services, FIRST, nonsense) == ""
    assert draw_origin(services, nonsense, SECOND) == ""
    row = services.explorer.row("train", 3)
    assert draw_origin(services, row.sentence1, nonsense) == ""


@pytest.mark.parametrize(
    "nonsense", [*NONSENSE, "9" * 5000, "٣", "-1", "1e9"], ids=lambda value: repr(value)[:20]
)
def test_a_click_that_no_button_sends_changes_nothing(services, nonsense):
    if nonsense not in (None, 5):
        with pytest.raises(MrpcError, match="row is"):
            on_select(services, "train", nonsense, None)
    assert on_select(services, "train", None, nonsense) == {}


def test_names_of_checkpoints_in_an_address():
    known = ["a", "b", "c", "d"]
    assert parse_names(known, "a,b") == ["a", "b"]
    assert parse_names(known, "a,b,c,d") == ["a", "b", "c"]
    assert parse_names(known, "a,<b>") == ["a"]
    assert parse_names(known, "") is None


def test_the_endpoint_answers_and_refuses(services):
    inspect_pair = endpoints_of(add_endpoints, services)["inspect_pair"]
    answer = inspect_pair(FIRST, SECOND)
    assert list(answer) == [
        *("checkpoint", "tokens", "input_ids", "token_type_ids", "attention_mask", "sequence_ids"),
        "num_truncated",
    ]
    assert len(answer["tokens"]) == 15
    with pytest.raises(MrpcError, match="Sentence 1 is empty"):
        inspect_pair("", SECOND)
    with pytest.raises(MrpcError, match="<b>"):
        inspect_pair(FIRST, SECOND, "<b>")
