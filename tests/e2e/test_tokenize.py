"""The Inspect tab in a browser: every view, by mouse, keyboard and link, wide and narrow, light and dark."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.pages import (
    COLOUR_RULES,
    expect_no_wider,
    expect_settled,
    open_by,
    serious_faults,
    show_theme,
    stale,
    tab_to,
)
from tests.live_app import LiveApp, running_app
from tests.tokenizer_families import make_family

pytestmark = pytest.mark.e2e

VIEWS = ("data", "pair", "batch", "step")
TINY = "checkpoint=local:tiny-bert"
SLOW_MS = 120_000

OpenView = Callable[..., Page]


@pytest.fixture(scope="module")
def live_app(
    tmp_path_factory: pytest.TempPathFactory, tiny_data_dir: Path, tiny_checkpoint_dir: Path
) -> Iterator[LiveApp]:
    """The app with the tiny checkpoint, and with tokenizers of two families that have no token types."""
    families = [make_family(tmp_path_factory.mktemp("families"), name) for name in ("distilbert", "roberta")]
    arguments = [f"--checkpoint-dir={folder}" for folder in (tiny_checkpoint_dir, *families)]
    with running_app(tmp_path_factory.mktemp("runs"), f"--data-dir={tiny_data_dir}", *arguments) as app:
        yield app


@pytest.fixture
def open_view(open_page) -> OpenView:
    """Open the tab at an address."""

    def open_at(query: str = "", width: int = 1280, permissions: Sequence[str] = ()) -> Page:
        return open_page("1 Inspect", width, query, permissions)

    return open_at


def chips(page: Page, place: str = "#stage-pair"):
    return page.locator(f"{place} .tk-chips").first.get_by_role("option")


def unfold(page: Page, title: str) -> None:
    """Open a section of the view of the pair."""
    open_by(page.get_by_role("button", name=title))


def detail(page: Page) -> dict[str, str]:
    """Return what is said about the token pointed at."""
    place = page.locator("[data-tk-detail]")
    names, values = place.locator("dt").all_inner_texts(), place.locator("dd").all_inner_texts()
    return dict(zip(names, values, strict=True))


def test_the_course_pair_is_shown_as_the_course_has_it(open_view):
    page = open_view()
    expect(chips(page)).to_have_count(15)
    rows = page.locator("#stage-pair .tk-tokens tbody tr")
    cells = [row.split("\t") for row in rows.all_inner_texts()]
    assert [int(row[2]) for row in cells] == [
        *(101, 2023, 2003, 1996, 2034, 6251, 1012, 102),
        *(2023, 2003, 1996, 2117, 2028, 1012, 102),
    ]
    assert [row[3] for row in cells] == ["0"] * 8 + ["1"] * 7
    assert [row[4] for row in cells] == ["1"] * 15


def test_chip_table_and_sentence_are_linked(open_view):
    page = open_view()
    expect_settled(page, "pair")  # a later drawing would point at nothing again
    chips(page).nth(5).hover()
    assert detail(page) == {
        "position": "5",
        "token": "sentence",
        "id": "6251",
        "token_type_id": "0",
        "attention_mask": "1",
        "sentence": "1",
        "characters": "18–26",
        "word": "4",
        "kind": "word start",
    }
    expect(page.locator("#stage-pair .tk-span.on")).to_have_text("sentence")
    expect(page.locator("#stage-pair tr.on td").nth(1)).to_have_text("sentence")
    page.locator("#stage-pair .tk-sentence.s2 .tk-span").nth(3).hover()
    assert detail(page)["token"] == "second"
    page.locator("#stage-pair .tk-tokens tbody tr").nth(0).hover()
    assert detail(page)["kind"] == "special"


def test_tokens_are_walked_by_keyboard(open_view):
    page = open_view()
    expect(chips(page)).to_have_count(15)
    expect_settled(page, "pair")
    page.get_by_role("tab", name="Pair", exact=True).focus()
    tab_to(page, "#stage-pair [role=option]")
    expect(chips(page).nth(0)).to_be_focused()
    assert detail(page)["token"] == "[CLS]"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert detail(page)["token"] == "is"
    expect(chips(page).nth(2)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("End")
    assert detail(page)["position"] == "14"
    page.keyboard.press("Home")
    expect(chips(page).nth(0)).to_be_focused()


def test_the_views_are_walked_to_the_end_by_their_next(open_view):
    page = open_view("at=inspect/data")
    seen = []
    for heading in ("The data", "A pair becomes", "Padding", "A batch through the model"):
        expect(page.get_by_role("heading", name=heading)).to_be_visible()
        link = page.locator(".next a:visible")
        expect(link).to_have_count(1)
        seen.append(link.inner_text())
        link.click()
    assert seen[-1] == "Next: fine-tune on pairs like this"
    expect(page.get_by_role("tab", name="2 Fine-tune")).to_have_attribute("aria-selected", "true")


def test_the_first_tokens_and_the_controls_are_in_view(open_page):
    page = open_page("1 Inspect", 1440)
    expect(chips(page)).to_have_count(15)
    for place in ("#stage-pair [role=option]", "#stage-pair table", "#checkpoint", "#pad"):
        box = page.locator(place).first.bounding_box()
        assert box["y"] + min(box["height"], 300) < 900, place


def test_what_is_typed_follows_at_once_and_is_cut(open_view):
    page = open_view()
    page.locator("#sentence1 textarea").fill("unbelievable roads ☃")
    expect(page.locator("#stage-pair .tk-chip.cont").first).to_be_visible()
    page.locator("#max-length input[type=number]").fill("8")
    page.locator("#max-length input[type=number]").press("Enter")
    expect(chips(page)).to_have_count(8)
    expect(page.locator("#stage-pair .tk-cut")).to_contain_text("Truncation cut away")
    page.locator("#truncation").get_by_text("only sentence 2").click()
    expect(page.locator("#stage-pair .tk-cut, #stage-pair [role=alert]")).to_contain_text("sentence 2")
    page.locator("#truncation").get_by_text("do not truncate").click()
    expect(page.locator("#stage-pair .tk-cut")).to_have_count(0)


@pytest.mark.parametrize(
    ("cut", "said"),
    [
        ("longest_first", "cut away 4 tokens of sentence 1 and 4 tokens of sentence 2"),
        ("only_first", "Sentence 1 has 6 tokens, but 8 would have to be cut from it to fit 8."),
        ("only_second", "Sentence 2 has 7 tokens, but 8 would have to be cut from it to fit 8."),
    ],
)
def test_eight_tokens_are_left_or_a_message_says_why_not(open_view, cut, said):
    page = open_view(f"length=8&cut={cut}&s1=One+two+three+four+five.&s2=One+two+three+four+five+six.")
    if cut == "longest_first":
        expect(page.locator("#stage-pair .tk-cut")).to_contain_text(said)
        expect(chips(page)).to_have_count(8)
        expect(page.locator("#stage-pair .tk-cut-text").first).to_contain_text("three four five.")
    else:
        expect(page.locator("#stage-pair [role=alert]")).to_contain_text(said)
        expect(page.locator("#stage-pair [role=alert]")).to_contain_text(
            "Cut the longest first, or allow more"
        )


def test_padding_unknown_and_raw_dictionary(open_view):
    page = open_view(f"{TINY}&s1=zzz%E2%98%83&length=24&pad=true")
    expect(page.locator("#stage-pair [role=listbox] .tk-chip.pad").first).to_be_visible()
    expect(page.locator("#stage-pair [role=listbox] .tk-chip.unk").first).to_be_visible()
    page.locator("#pair-details summary", has_text="What the tokenizer returns").click()
    raw = page.locator("#pair-details .tk-raw code")
    expect(raw.nth(0)).to_be_visible()
    assert raw.nth(0).inner_text().startswith("{'input_ids': [")
    expect(page.locator("#pair-details")).to_contain_text("convert_ids_to_tokens")


def test_odd_text_is_pointed_at_character_by_character(open_view):
    page = open_view()
    for sentence, spans in (
        ("<b> one", ["<", "b", ">", "one"]),
        ("🙂 one", ["🙂", "one"]),
        ("👩\u200d👩\u200d👧 one", ["👩\u200d👩\u200d👧", "one"]),
        ("cafe\u0301 one", ["cafe", "one"]),
        ("我喜欢 one", ["我", "喜", "欢", "one"]),
        ("one\u200b\u202e two", ["one", "two"]),
    ):
        page.locator("#sentence1 textarea").fill(sentence)
        expect(page.locator("#stage-pair .tk-sentence.s1 .tk-text")).to_have_text(sentence)
        expect_settled(page, "pair")
        seen = []
        for number in range(1, chips(page).count()):
            chips(page).nth(number).hover()
            if detail(page)["sentence"] != "1":
                break
            pointed_at = page.locator("#stage-pair .tk-sentence.s1 .tk-span.on").all_text_contents()
            seen.append("".join(pointed_at))
        assert [text for place, text in enumerate(seen) if text not in seen[:place]] == spans, sentence


def test_right_to_left_text_is_pointed_at_letter_by_letter(open_view):
    sentence = "שלום one"
    page = open_view(f"{TINY}&s1={sentence}")
    expect(page.locator("#stage-pair .tk-sentence.s1 .tk-text")).to_have_text(sentence)
    expect_settled(page, "pair")
    chips(page).nth(1).hover()
    assert detail(page)["characters"] == "0–4"
    expect(page.locator("#stage-pair .tk-sentence.s1 .tk-span.on")).to_have_text("שלום")


def test_odd_text_is_shown_as_text(open_view):
    page = open_view()
    for sentence in (
        "<script>window.hacked = 1</script>",
        "<img src=x onerror='window.hacked = 1'>",
        '"><b onmouseover="window.hacked=1">x</b>',
        "${window.hacked = 1} {{value}} `x`",
        "שלום עולם",
        "我喜欢学习 🙂👩‍👩‍👧",
        "cafe\u0301",
    ):
        page.locator("#sentence1 textarea").fill(sentence)
        expect(page.locator("#stage-pair .tk-sentence.s1 .tk-text")).to_have_text(sentence)
        chips(page).nth(1).hover()
        assert page.evaluate("window.hacked") is None, sentence
        assert page.locator("#stage-pair script, #stage-pair img, #stage-pair b").count() == 0, sentence


def test_what_cannot_be_used_gets_a_message(open_view):
    page = open_view()
    expect(chips(page)).to_have_count(15)
    for sentence, message in (
        ("", "Sentence 1 is empty"),
        ("   ", "Sentence 1 is empty"),
        ("a" * 100_000, "Sentence 1 has 100,000 characters"),
        ("a\u0000b", "control character"),
        ("a\u0007b", "control character"),
    ):
        page.locator("#sentence1 textarea").fill(sentence)
        expect(page.locator("#stage-pair [role=alert]")).to_contain_text(message)
        page.locator("#sentence1 textarea").fill("Good again.")
        expect(chips(page).nth(1)).to_contain_text("good")
    # Half a surrogate pair:
    page.locator("#sentence1 textarea").evaluate(
        "area => { area.value = 'a\\ud83d b'; area.dispatchEvent(new Event('input', {bubbles: true})); }"
    )
    expect(page.locator("#stage-pair [role=alert], #stage-pair .tk-sentence.s1")).to_contain_text(
        re.compile("surrogate|a\ufffd b")
    )


def test_one_or_two(open_view):
    page = open_view()
    unfold(page, "One sentence or two")
    joined = page.get_by_role("listbox", name="Both lists joined")
    expect(joined.get_by_role("option")).to_have_count(16)
    expect(joined.locator(".odd")).to_have_count(8)
    expect(page.locator("#stage-one-or-two")).to_contain_text("8 of 16 places differ")
    page.locator("#sentence2 textarea").fill("Two.")
    expect(page.get_by_role("listbox", name="Encoded as a pair").get_by_role("option")).to_have_count(11)


def test_checkpoints_side_by_side(open_view):
    page = open_view()
    unfold(page, "Other checkpoints")
    cards = page.locator("#stage-checkpoints .tk-card")
    expect(cards).to_have_count(3)
    expect(page.locator("#stage-checkpoints .tk-card.away")).to_have_count(2)
    expect(cards.nth(1)).to_contain_text("Not available.")
    group = page.locator("#compared")
    expect(group.get_by_label("RoBERTa base (not available)")).to_be_checked()
    group.get_by_label("tiny-bert").check()
    expect(page.locator("#stage-checkpoints [role=alert]")).to_contain_text("one to 3")
    group.get_by_label("RoBERTa base (not available)").uncheck()
    group.get_by_label("DistilBERT base, uncased (not available)").uncheck()
    expect(cards).to_have_count(2)
    expect(page.locator("#stage-checkpoints .tk-card.away")).to_have_count(0)


def test_three_families_side_by_side(open_view):
    page = open_view("with=local:tiny-bert,local:tiny-distilbert,local:tiny-roberta")
    unfold(page, "Other checkpoints")
    cards = page.locator("#stage-checkpoints .tk-card")
    expect(cards).to_have_count(3)
    expect(cards.nth(0)).to_contain_text("Returns input_ids, token_type_ids, attention_mask.")
    expect(cards.nth(0)).not_to_contain_text("not used by this model")
    for card in (cards.nth(1), cards.nth(2)):
        expect(card).to_contain_text("Returns input_ids, attention_mask.")
        expect(card).to_contain_text("token_type_ids: not used by this model")
        assert card.locator(".tk-chip.s1").count() > 0  # coloured by sequence_ids all the same
        assert card.locator(".tk-chip.s2").count() > 0
    separators = cards.nth(2).locator("bdi").get_by_text("</s>", exact=True)
    expect(separators).to_have_count(3)  # two between the sentences, one at the end
    boxes = [cards.nth(number).bounding_box() for number in range(3)]
    assert len({box["y"] for box in boxes}) == 1


def test_the_data_is_paged_searched_and_opened(open_view):
    page = open_view("at=inspect/data")
    rows = page.locator("#stage-data tbody tr")
    expect(rows).to_have_count(10)
    page.locator("#stage-data").get_by_role("button", name="Next").click()
    expect(rows.first).to_contain_text("10")
    page.locator("#data-label").get_by_text("not equivalent").click()
    expect(page.locator("#stage-data")).to_contain_text("32 of 64 rows found, 1 to 10 shown")
    page.locator("#data-query input").fill("STORM")
    expect(page.locator("#stage-data mark").first).to_have_text("storm")
    page.locator("#data-query input").fill("<b>nothing</b>")
    expect(page.locator("#stage-data")).to_contain_text("No row holds that")
    page.locator("#data-query input").fill("")
    page.locator("#data-split").get_by_text("validation").click()
    expect(page.locator("#stage-data")).to_contain_text("8 of 16 rows found")
    expect(page.locator("#data-about")).to_contain_text("8 equivalent, 50.0 %")
    expect(page.locator("#data-about")).to_contain_text("ClassLabel(names=['not_equivalent', 'equivalent'])")
    page.get_by_role("button", name="Use this pair: row 2", exact=True).click()
    expect(page.locator("#stage-pair-origin")).to_contain_text("Row 2 of validation, idx 66")
    expect(page.locator("#sentence1 textarea")).to_have_value(re.compile("^The "))
    expect(chips(page).first).to_be_visible()
    page.locator("#sentence1 textarea").fill("Something else.")
    expect(page.locator("#stage-pair-origin")).not_to_contain_text("Row 2")


def test_the_whole_split_is_tokenized_measured_and_cancelled(open_view):
    page = open_view(f"at=inspect/batch&{TINY}&ways=batched")
    page.locator("#speed-run").click()
    way = page.locator("#stage-speed .tk-way")
    expect(way).to_contain_text("done, 64 of 64 rows", timeout=SLOW_MS)
    expect(way.locator("dd")).to_have_count(3)
    expect(page.locator("#stage-speed .progress")).to_have_count(0)
    page.locator("#speed-run").click()
    page.locator("#stage-speed [data-cancel]").click()
    expect(way).to_contain_text("cancelled", timeout=SLOW_MS)
    expect(page.locator("#stage-speed .progress")).to_have_count(0)
    page.locator("#speed-ways").get_by_label("One call with lists").check()
    expect(page.locator(stale("speed"))).to_be_visible()


def test_the_failing_map_shows_the_real_error(open_view):
    page = open_view("at=inspect/batch")
    page.locator("#failing-map-run").click()
    expect(page.locator("#stage-failing-map .tk-error")).to_have_text(
        "pyarrow.lib.ArrowInvalid: Column 4 named testtest expected length 64 but got length 1"
    )
    expect(page.locator("#stage-failing-map")).to_contain_text("It gives 64 rows")


def test_padding_is_drawn_for_chosen_rows(open_view):
    page = open_view("at=inspect/batch")
    expect(page.locator("#stage-batch .tk-grid-row")).to_have_count(8, timeout=SLOW_MS)
    page.locator("#batch-pad").get_by_text("128", exact=True).click()
    expect(page.locator("#stage-batch")).to_contain_text("8 × 128")
    page.locator("#batch-rows input, #batch-rows textarea").fill("0 5 9")
    expect(page.locator("#stage-batch .tk-grid-row")).to_have_count(3)
    expect(page.locator("#split-padding .tk-bars tbody tr")).to_have_count(7)
    page.locator("#batch-rows input, #batch-rows textarea").fill("0-99")
    expect(page.locator("#stage-batch [role=alert]")).to_contain_text("Choose 1 to 16 rows")
    page.locator("#batch-draw").click()
    expect(page.locator("#stage-batch .tk-grid-row")).to_have_count(8)


def test_a_batch_goes_through_the_model(open_view):
    page = open_view(f"at=inspect/step&{TINY}")
    view = page.locator("#stage-model-input")
    expect(view).to_contain_text("[8, 2]", timeout=SLOW_MS)
    expect(view).to_contain_text("0.6931")
    expect(view).to_contain_text("renamed to labels")
    assert float(view.locator(".tk-figures dd").first.inner_text()) == pytest.approx(0.693, abs=0.1)
    answers = view.locator(".tk-answers tbody tr")
    expect(answers).to_have_count(8)
    right = 0
    for cells in (row.split("\t") for row in answers.all_inner_texts()):
        logits = [float(number) for number in cells[1].split(",")]
        assert int(cells[3]) == logits.index(max(logits))
        assert ("right" in cells[6]) == (cells[3] == cells[5][0])
        right += "right" in cells[6]
    expect(view.locator(".tk-figures dd").nth(2)).to_have_text(f"{right} of 8")


def test_one_step_lowers_the_loss(open_view):
    page = open_view(f"at=inspect/step&{TINY}")
    page.locator("#step-run").click()
    figures = page.locator("#stage-training-step .tk-figures dd")
    expect(figures).to_have_count(3, timeout=SLOW_MS)
    before, after = (float(figures.nth(place).inner_text()) for place in (0, 1))
    assert after < before
    page.locator("#step-rate").get_by_text("nothing moves").click()
    page.locator("#step-run").click()
    expect(figures.nth(2)).to_have_text("+0.0000", timeout=SLOW_MS)


@pytest.mark.parametrize(
    ("query", "seen"),
    [
        (
            "at=inspect/pair&s1=One+%26+two%3F&s2=%3Cb%3E&length=64&cut=only_first&pad=true",
            "#stage-pair .tk-chip.pad",
        ),
        ("at=inspect/data&rows=test&label=equivalent&find=mayor&from=0", "#stage-data mark"),
        ("at=inspect/batch&pick=3+4&to=512&size=16", "#stage-batch .tk-grid-row"),
        ("at=inspect/batch&batch_of=test&num=5&ways=one_call%2Cbatched", "#speed-run"),
        ("at=inspect/step&model_of=validation&model_size=4&seed=7", "#step-batch-size"),
        ("at=inspect/step&sequences=pair&rate=5e-05", "#step-run"),
    ],
)
def test_a_link_opens_the_same_view(open_view, query, seen):
    page = open_view(query)
    expect(page.locator(seen).first).to_be_visible(timeout=SLOW_MS)
    page.wait_for_timeout(1000)  # whatever the page writes into the address now, it must mean the same
    address = page.evaluate("[...new URLSearchParams(location.search)].sort().join('\\n')")
    wanted = page.evaluate("query => [...new URLSearchParams(query)].sort().join('\\n')", query)
    assert set(address.split("\n")) >= set(wanted.split("\n")) - {"from,0"}


def test_an_address_with_nonsense_opens_the_usual_view(open_view):
    page = open_view("at=<b>&length=9999&checkpoint=../../etc&with=a,b&pad=maybe&row=-1&s1=" + "a" * 3000)
    expect(chips(page)).to_have_count(15)


def test_a_link_and_code_are_copied(open_view):
    page = open_view(permissions=["clipboard-read", "clipboard-write"])
    page.locator("#sentence2 textarea").fill("Copied.")
    expect(page).to_have_url(re.compile(r"s2=Copied"))
    link = page.locator("[data-copy-link]")
    link.click()
    expect(link).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    page.locator("#pair-details summary", has_text="Code: the same").click()
    page.get_by_role("button", name="Copy: code").click()
    code = page.evaluate("navigator.clipboard.readText()")
    assert code.startswith("from transformers import AutoTokenizer\n")
    assert '"Copied."' in code
    compile(code, "copied.py", "exec")


def test_an_open_fold_stays_open_while_one_types(open_view):
    page = open_view()
    page.locator("#pair-details summary", has_text="Code: the same").click()
    page.locator("#sentence2 textarea").fill("Typed.")
    expect(page.locator("#pair-details pre", has_text="Typed.").last).to_be_visible()
    page.locator("#pair-details summary", has_text="Code: the same").click()
    page.locator("#sentence2 textarea").fill("Once more.")
    expect(page.locator("#stage-pair table")).to_contain_text("once")
    expect(page.locator("#pair-details pre", has_text="Once more.").last).to_be_hidden()


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_with_all_it_has_has_no_faults_stays_narrow_and_its_code_is_copied(open_view, view):
    page = open_view(
        f"at=inspect/{view}&{TINY}&length=12&s1={'long' * 30}",
        permissions=["clipboard-read", "clipboard-write"],
    )
    show_all(page, view)
    for scheme, rules in (("dark", COLOUR_RULES), ("light", None)):
        show_theme(page, scheme)
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            assert serious_faults(page, rules) == [], (scheme, width)
    expect_no_wider(page, 390)
    buttons = page.get_by_role("button", name="Copy: code", exact=True)
    assert buttons.count() == {"data": 1, "pair": 3, "batch": 2, "step": 2}[view]
    for button in buttons.all():
        button.click()
        expect(button).to_have_text("Copied")
        code = page.evaluate("navigator.clipboard.readText()")
        assert "from transformers import" in code or "from datasets import" in code
        compile(code, "copied.py", "exec")


@pytest.mark.parametrize(
    ("view", "control", "keys", "seen", "text"),
    [
        ("Pair", "#truncation input", ["ArrowRight"], "#stage-pair [role=alert]", "Sentence 1 has 6 tokens"),
        ("Pair", "#single button", ["Enter"], "#stage-one-or-two", "places differ"),
        ("Data", "#data-label input", ["ArrowRight"], "#stage-data", "32 of 64 rows found"),
        ("Data", "#stage-data [data-row='2']", ["Enter"], "#stage-pair-origin", "Row 2 of train, idx 2"),
        ("Batch", "#failing-map-run", ["Enter"], "#stage-failing-map", "ArrowInvalid"),
        (
            "Batch",
            "#batch-pad input",
            ["ArrowRight", "ArrowRight"],
            "#stage-batch",
            "Padded to the longest of the split",
        ),
        ("Step", "#step-split input", ["ArrowRight"], "#stage-model-input", "[8, 2]"),
        ("Step", "#step-run", ["Space"], "#stage-training-step", "loss after"),
    ],
)
def test_every_view_works_by_keyboard_alone(open_view, view, control, keys, seen, text):
    page = open_view(f"{TINY}&length=8" if view == "Pair" else TINY)
    page.get_by_role("tab", name=view, exact=True).focus()
    page.keyboard.press("Enter")
    wait_until_drawn(page, view.lower())
    tab_to(page, control)
    for key in keys:
        page.keyboard.press(key)
    expect(page.locator(seen)).to_contain_text(text, timeout=SLOW_MS)


def wait_until_drawn(page: Page, view: str) -> None:
    """Wait until the server has drawn what it draws unasked."""
    place = {
        "data": "#data-about .tk-histogram",
        "pair": "#stage-pair [role=alert], #stage-pair .tk-tokens",
        "batch": "#split-padding table",
        "step": "#stage-model-input .tk-answers",
    }[view]
    expect(page.locator(place).first).to_be_visible(timeout=SLOW_MS)


def show_all(page: Page, view: str) -> None:
    """Let a view draw all it has, and open its folds."""
    wait_until_drawn(page, view)
    asked = {
        "batch": [("#failing-map-run", "#stage-failing-map .tk-error")],
        "step": [("#step-run", "#stage-training-step .tk-figures")],
    }.get(view, [])
    for button, place in asked:
        page.locator(button).click()
        expect(page.locator(place).first).to_be_visible(timeout=SLOW_MS)
    if view == "pair":
        unfold(page, "One sentence or two")
        expect(page.locator("#stage-one-or-two .tk-chips").first).to_be_visible()
        unfold(page, "Other checkpoints")
        expect(page.locator("#stage-checkpoints .tk-card").first).to_be_visible()
    for fold in page.locator("#inspect-views summary:visible").all():
        fold.click()
    expect(page.locator("#inspect-views pre:visible").first).to_be_visible()
