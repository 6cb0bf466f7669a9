"""What the views of the Inspect tab show, read as a browser would: every look, nothing typed as markup."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from mrpc.app.checkpoints import CheckpointShelf
from mrpc.app.templates import coloured, render
from mrpc.app.tokenize.batch import BatchRow, PaddedBatch, SplitPadding
from mrpc.app.tokenize.batch_view import PAD_NAMES, WAY_NAMES, render_ways
from mrpc.app.tokenize.data import Explorer, Page, Row, SplitOverview, marked
from mrpc.app.tokenize.pair import Inspection
from mrpc.app.tokenize.pair_view import draw_checkpoints, draw_one_or_two, draw_pair
from mrpc.app.tokenize.speed import FailedMap, WayProgress
from mrpc.app.tokenize.step import Answer, ModelInput, MovedPart, TrainingStep
from mrpc.app.tokenize.tokens import chip_classes, describe_token, pieces
from mrpc.core.data.pairs import WORDS
from mrpc.core.text.batching import PaddingReport
from tests.html import Element, parse
from tests.tokenizer_families import make_family

ATTACKS = [
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</code></pre><b>bold</b>",
    "&lt;b&gt; &amp; ${1+1} {{value}}",
]
ROW = Row(14, "A <b>bold</b> court", "The COURT & more", 1, 15)


class OnlyInspection:
    """Services without data: what the view of a pair needs."""

    def __init__(self, checkpoints: CheckpointShelf) -> None:
        self.checkpoints = checkpoints
        self.inspection = Inspection(checkpoints)


@pytest.fixture(scope="module")
def services(tmp_path_factory) -> Any:
    directory = tmp_path_factory.mktemp("families")
    folders = tuple(make_family(directory, family) for family in ("bert", "roberta"))
    return OnlyInspection(CheckpointShelf(folders))


def pair(services: Any, sentence1: str, sentence2: str, checkpoint: str = "", length: int = 128) -> Element:
    shown = draw_pair(services, sentence1, sentence2, checkpoint, length, "longest_first", False)
    return parse(shown["tokens"] + shown["details"])


def marked_text(view: Element, sentence: int) -> list[tuple[str, str]]:
    """Return (tokens, characters) of the marked spans of a sentence."""
    spans = view.one("div", cls=f"tk-sentence s{sentence}").all("span", cls="tk-span")
    return [(span.attributes["data-i"], span.raw_text) for span in spans]


def test_every_token_is_a_chip_a_table_row_and_a_span(services):
    found = services.inspection.inspect_pair("The strike closed roads.", "Roads were closed.")
    view = pair(services, found.sentence1, found.sentence2)
    chips = view.all(role="option")
    positions = [str(row.position) for row in found.rows]
    assert [chip.attributes["data-i"] for chip in chips] == positions
    assert [row.attributes["data-i"] for row in view.one("tbody").all("tr")] == positions
    assert [chip.attributes["tabindex"] for chip in chips] == ["0"] + ["-1"] * (len(chips) - 1)
    assert all(
        chip.attributes["aria-label"].startswith(row.token)
        for chip, row in zip(chips, found.rows, strict=True)
    )
    for number, sentence in ((1, found.sentence1), (2, found.sentence2)):
        for tokens, text in marked_text(view, number):
            for position in tokens.split():
                row = found.rows[int(position)]
                assert sentence[row.start : row.end] == text
    assert f"'input_ids': {found.raw['input_ids']}" in view.one("pre", aria_label="dictionary").raw_text
    assert view.one("pre", aria_label="tokens").raw_text == str(found.tokens)


def test_looks_differ_without_colour(services):
    found = services.inspection.inspect_pair(
        "roadsclosed 🙂 one", "one", "local:tiny-bert", 16, "longest_first", True
    )
    looks = {row.token: chip_classes(row) for row in found.rows}
    assert looks["[CLS]"] == "special"
    assert looks["[UNK]"] == "s1 unk"
    assert looks["##s"] == "s1 cont"
    assert looks["[PAD]"] == "pad"
    assert chip_classes(found.rows[found.tokens.index("one")]) in {"s1", "s2"}
    typed = services.inspection.inspect_pair("one [SEP] two", "one").rows[2]
    assert chip_classes(typed) == "s1 special"
    assert "special, typed" in describe_token(typed)


def test_cut_tokens_and_cut_text_are_shown(services):
    view = pair(services, "one two three four five six seven", "one two", length=8)
    assert "Truncation cut away 4 tokens of sentence 1 and 0 tokens of sentence 2." in view.text
    assert [chip.text for chip in view.one("ul", cls="tk-chips").all("li")] == [
        "four",
        "five",
        "six",
        "seven",
    ]
    assert view.one("del").text == "four five six seven"
    long = pair(services, "one " * 1000, "two", length=8)
    assert "The first 200 of each are shown." in long.text
    assert len(long.one("ul", cls="tk-chips").all("li")) == 200


def test_bytes_of_one_character_share_a_span(services):
    assert ("3 4 5 6", "🙂") in marked_text(pair(services, "a 🙂", "one", "local:tiny-roberta"), 1)


def test_pieces_put_together_are_the_sentence(services):
    sentence = "  one\ttwo 🙂  three "
    found = services.inspection.inspect_pair(sentence, "one")
    rows = [row for row in found.rows if row.sequence_id == 0]
    assert "".join(piece.text for piece in pieces(sentence, rows, [])) == sentence


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_typed_is_text(services, attack):
    views = [
        pair(services, attack, attack),
        parse(draw_one_or_two(services, attack, attack, "")),
        parse(draw_checkpoints(services, attack, attack, ["", "local:tiny-roberta"])),
    ]
    for view in views:
        assert {element.tag for element in view.walk()} <= {
            *("div", "span", "p", "h3", "bdi", "small", "table", "thead", "tbody", "tr", "th", "td"),
            *("ul", "li", "code", "pre", "button", "section", "del", "details", "summary"),
        }
        names = {name for element in view.walk() for name in element.attributes}
        assert not {name for name in names if name.startswith("on") or name in {"src", "href", "style"}}
    sentence = views[0].one("div", cls="tk-sentence s1").one("p", cls="tk-text")
    assert sentence.raw_text == attack


def test_a_model_without_token_types_says_so(services):
    view = pair(services, "one", "two", "local:tiny-roberta")
    assert "not used by this model" in view.text
    chips = view.one(role="listbox").all(role="option")
    assert {"s1", "s2"} <= {name for chip in chips for name in chip.classes}
    assert "not used by this model" not in pair(services, "one", "two").text


def test_places_that_differ_are_ringed_and_said(services):
    view = parse(draw_one_or_two(services, "one", "two", ""))
    odd = view.all(role="option", cls="odd")
    assert len(odd) == 3
    assert all(chip.attributes["aria-label"].endswith(", differs") for chip in odd)
    assert "3 of 6 places differ" in view.text


def test_unavailable_checkpoints_give_their_reason(services):
    card = parse(draw_checkpoints(services, "one", "two", ["FacebookAI/roberta-base"])).one("section")
    assert "Not available." in card.text
    assert "FacebookAI/roberta-base" in card.text


def test_code_is_coloured_and_unchanged():
    code = 'from a import b\n\nx = f("<b>", 1.5)  # "note"\n'
    shown = parse(coloured(code))
    assert shown.all("span", cls="hl-kn")[0].text == "from"
    assert shown.one("span", cls="hl-c1").text == '# "note"'
    for text in (code, "x = (\n", "\n a ?? `b`\n", "def f(:\n"):
        assert parse(coloured(text)).raw_text == text


FIRST_COLOURS = """
import threading
from mrpc.app.templates import coloured
start, failed = threading.Barrier(8), []
def colour():
    start.wait()
    try:
        coloured("x = 1")
    except ImportError as error:
        failed.append(error)
threads = [threading.Thread(target=colour) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(failed)
"""


def test_the_first_code_is_coloured_by_many_threads_at_once():
    # In a process of its own, because Pygments is imported once.
    done = subprocess.run(
        [sys.executable, "-c", FIRST_COLOURS], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"


def rows_view(page: Page, query: str) -> Element:
    rows = [(row, marked(row.sentence1, query), marked(row.sentence2, query)) for row in page.rows]
    return parse(render("tokenize/data.html", page=page, rows=rows, page_rows=10, is_filtered=True))


def test_rows_are_text_finds_are_marked_and_each_has_its_button():
    view = rows_view(Page([ROW], 20, 21, 100), "court")
    assert "21 of 100 rows found, 21 to 21 shown" in view.one(role="status").text
    assert [found.text for found in view.all("mark")] == ["court", "COURT"]
    assert [cell.text for cell in view.one("td", cls="tk-both").all("p")] == [ROW.sentence1, ROW.sentence2]
    button = view.one("button", data_row="14")
    assert button.attributes["aria-label"] == "Use this pair: row 14"
    assert button.attributes["data-go"] == "inspect/pair"
    assert not view.all("b")
    pager = {button.text: button.attributes for button in view.one("div", cls="tk-pager").all("button")}
    assert pager["Previous"]["data-start"] == "10"
    assert "disabled" in pager["Next"]


def test_no_rows_say_what_to_do():
    assert "Search for less" in rows_view(Page([], 0, 0, 9), "x").text


def test_overview_draws_what_was_counted():
    overview = SplitOverview("train", (4, 6), 20, ([0, 4], [1, 5]))
    assert overview.bars == [("0 to 19", 1, 0), ("20 or more", 5, 4)]
    assert overview.highest == 5
    view = parse(
        render(
            "tokenize/split.html",
            overview=overview,
            num_rows={"train": 10},
            features={"label": "ClassLabel"},
            code="",
        )
    )
    assert "6 equivalent, 60.0 %" in view.text
    assert "right in 60.0 % of the cases" in view.text
    assert view.all("title")[1].text == "20 or more characters: 5 equivalent, 4 not equivalent"
    heights = [float(bar.attributes["height"]) for bar in view.all("rect", cls="l1")]
    assert heights == [pytest.approx(48 / 5, abs=0.01), 48]
    assert ["0 to 19", "1", "0"] in view.rows()
    assert ["20 or more", "5", "4"] in view.rows()
    assert ["label", "ClassLabel"] in view.rows()


def test_rows_without_labels_say_so():
    row = Row(0, "One.", "Two.", -1, 0)
    assert rows_view(Page([row], 0, 1, 1), "").one("span", cls="tk-label").text == "no label"
    overview = SplitOverview("test", (0, 0), 20, ([0], [0]))
    view = parse(render("tokenize/split.html", overview=overview, num_rows={"test": 1}, features={}, code=""))
    assert "No row of this split has a label." in view.text


def test_the_explorer_offers_what_the_view_asks_for(tiny_data_dir):
    from mrpc.core.data.load import load_data

    data = load_data("folder", tiny_data_dir)
    overview = Explorer(lambda: data).overview("train")
    assert overview.share_equivalent == 0.5
    assert max(max(num_one, num_zero) for _, num_one, num_zero in overview.bars) == overview.highest


def test_a_batch_is_drawn_token_by_token():
    rows = [
        BatchRow(3, 4, [("special", 1), ("s1", 1), ("special", 1), ("s2", 1), ("pad", 2)]),
        BatchRow(5, 6, [("special", 1), ("s1", 3), ("special", 1), ("s2", 1)]),
    ]
    lengths: Any = {"longest": 6, "multiple_of_8": 8, "split": 9, "128": 128, "512": 512}
    batch = PaddedBatch("longest", rows, 6, {"input_ids": (2, 6)}, lengths)
    view = parse(render("tokenize/batch.html", batch=batch, names=PAD_NAMES, checkpoint="all <b>"))
    drawn = [
        [(next(iter(cell.classes - {"tk-seg"})), cell.attributes["style"]) for cell in row.all("i")]
        for row in view.all("div", cls="tk-cells")
    ]
    assert drawn == [[(kind, f"flex:{num}") for kind, num in row.segments] for row in rows]
    assert "2 × 6, 16.7 % padding" in view.all("p")[1].text
    view.one("div", role="img", aria_label="Row 3: 4 tokens and 2 of padding")
    assert ["input_ids", "[2, 6]"] in view.rows()
    assert view.one("tr", cls="tk-chosen").text == "the longest of the batch2 × 616.7 %"


def test_bars_end_where_the_scale_does():
    strategies = {
        name: PaddingReport(1, 100, positions, 10, float(positions))
        for name, positions in (("random", 135), ("grouped", 102), ("128", 240), ("512", 960))
    }
    padding = SplitPadding(50, 80, 53.2, 103, strategies)
    view = parse(render("tokenize/split_padding.html", padding=padding, split="train", batch_size=8, code=""))
    assert "The first 50 of 80 pairs" in view.text
    assert len(view.all("span", cls="tk-bar off")) == 1
    assert [row[2] for row in view.rows()] == ["× 1.350", "× 1.020", "× 2.400", "× 9.600"]
    widths = [float(re.findall(r"[\d.]+", bar.attributes["style"])[0]) for bar in view.all("i", cls="pad")]
    assert widths[1] < widths[0] < widths[2] < widths[3]
    assert all(0 <= width <= 100 for width in widths)


def test_every_state_of_a_measurement_is_shown():
    states: dict[Any, dict[str, Any]] = {
        "waiting": {},
        "starting": {},
        "running": {"rows_done": 50, "seconds": 2.0, "added_bytes": 10_000_000},
        "done": {"rows_done": 100, "seconds": 2.0, "added_bytes": -5},
        "failed": {"error": "<b>no</b>"},
        "cancelled": {"rows_done": 20, "seconds": 1.0},
    }
    for state, values in states.items():
        view = parse(render_ways([WayProgress("batched", state, 100, **values)]))
        assert view.one("strong").text == WAY_NAMES["batched"][0]
        assert not view.all("b")
        assert bool(view.all("dl")) == (state in {"running", "done", "cancelled"})
    running = parse(render_ways([WayProgress("batched", "running", 100, **states["running"])]))
    assert running.one(role="progressbar").attributes["aria-valuenow"] == "50"
    assert [value.text for value in running.all("dd")] == ["2.00", "25", "10 MB"]
    assert "its progress is not known" in parse(render_ways([WayProgress("one_call", "running", 100)])).text


def test_the_failing_map_is_explained():
    failed = FailedMap(1000, "pyarrow.lib.ArrowInvalid", "<len>", ["a", "testtest"], 1000)
    view = parse(
        render("tokenize/failing_map.html", failed=failed, failing_code="failing()", fixed_code="working()")
    )
    assert view.one("pre", aria_label="The error").text == "pyarrow.lib.ArrowInvalid: <len>"
    assert "1,000 rows" in view.text
    assert view.text.index("failing()") < view.text.index("ArrowInvalid") < view.text.index("working()")


def model_input(answers: list[Answer]) -> Element:
    ready = ModelInput(
        seed=42,
        rows=[answer.row for answer in answers],
        columns_tokenized={"sentence1": "Value('string')", "label": "ClassLabel", "input_ids": "List"},
        columns_ready={"labels": "ClassLabel", "input_ids": "List"},
        shapes={"input_ids": (1, 9)},
        dtype="torch.int64",
        loss=0.7,
        answers=answers,
        new_parameters=["classifier.weight"],
    )
    return parse(
        render(
            "tokenize/model_input.html",
            ready=ready,
            checkpoint="all <b>",
            ln2=0.693147,
            names=WORDS,
            code="",
        )
    )


def test_the_way_from_the_columns_to_the_answer():
    view = model_input(
        [Answer(5, 1, [0.1, -0.2], [0.574, 0.426], 0, 0.8544), Answer(9, 1, [0, 1], [0.27, 0.73], 1, 0.31)]
    )
    assert view.one("del").text == "sentence1"
    assert ["label", "renamed to labels"] in view.rows()
    assert ["input_ids", "[1, 9]"] in view.rows()
    figures = dict(zip([e.text for e in view.all("dt")], [e.text for e in view.all("dd")], strict=True))
    assert figures == {"loss": "0.7000", "ln 2": "0.6931", "right": "1 of 2", "logits": "[2, 2]"}
    assert view.rows()[:2] == [
        [
            "5",
            "+0.1000, -0.2000",
            "0.574, 0.426",
            "0",
            "not equivalent",
            "1, equivalent",
            "✗ wrong",
            "0.8544",
        ],
        ["9", "+0.0000, +1.0000", "0.270, 0.730", "1", "equivalent", "1, equivalent", "✓ right", "0.3100"],
    ]
    assert "argmax" in view.text
    assert not view.all(cls="notice-warn")


def test_one_answer_for_all_pairs_is_said_in_amber():
    one = Answer(5, 1, [0.1, 0.2], [0.475, 0.525], 1, 0.64)
    said = model_input([one, Answer(6, 0, [0.1, 0.2], [0.475, 0.525], 1, 0.74)]).one(cls="notice-warn").text
    assert said.startswith("All 2 pairs get the same answer, equivalent.")
    assert "1 of 2 pairs are labelled equivalent" in said


@pytest.mark.parametrize(
    ("rate", "words"), [(1e-3, "about the learning rate, 0.001"), (0.0, "no weight moves")]
)
def test_what_a_step_changed(rate, words):
    part = MovedPart("the new head", 770, 0.0277, 0.001, 0.55)
    step = TrainingStep([[], []], {"input_ids": (2, 16)}, 0.7, 0.42, [0.49, 0.5], [0.6, 0.7], part, part)
    view = parse(
        render("tokenize/training_step.html", step=step, sequences=[[], []], learning_rate=rate, code="")
    )
    assert [value.text for value in view.all("dd")] == ["0.7000", "0.4200", "-0.2800"]
    assert ["the new head", "770", "0.0277", "0.55", "0.001000"] in view.rows()
    assert ["1", "0.490", "0, wrong", "0.600", "1, right"] in view.rows()
    assert "[2, 16]" in view.text
    assert words in view.text
