"""Tokens as HTML: every look, every span, nothing that a person typed as markup."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pytest

from mrpc.app.code import render_code, render_raw
from mrpc.app.tokenize.pair import Inspection
from mrpc.app.tokenize.render_encodings import render_checkpoints, render_one_or_two
from mrpc.app.tokenize.render_tokens import (
    chip_classes,
    describe_token,
    format_raw,
    render_inspection,
    render_sentences,
)
from mrpc.settings import Settings
from tests.tokenizer_families import make_family

ATTACKS = [
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "</code></pre><b>bold</b>",
    "&lt;b&gt; &amp; ${1+1} {{value}}",
]


@pytest.fixture(scope="module")
def inspection(tmp_path_factory) -> Inspection:
    directory = tmp_path_factory.mktemp("families")
    folders = tuple(make_family(directory, family) for family in ("bert", "roberta"))
    return Inspection(lambda: None, Settings(checkpoint_dirs=folders))


class Reader(HTMLParser):
    """Collects what a browser would see: tags, attributes and text."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text = ""
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def marked_text(source: str, sentence: int) -> list[tuple[str, str]]:
    """Return (tokens, characters) of the marked spans of a sentence."""
    part = source.split(f'<div class="tk-sentence s{sentence}">')[1].split("</div>")[0]
    spans = re.findall(r'<span class="tk-span" data-i="([\d ]+)">(.*?)</span>', part, re.DOTALL)
    return [(tokens, html.unescape(text)) for tokens, text in spans]


def test_every_token_is_a_chip_a_table_row_and_a_span(inspection):
    found = inspection.inspect_pair("The strike closed roads.", "Roads were closed.")
    seen = Reader(render_inspection(found))
    chips = [attributes for tag, attributes in seen.tags if attributes.get("role") == "option"]
    rows = [attributes for tag, attributes in seen.tags if tag == "tr" and "data-i" in attributes]
    assert [chip["data-i"] for chip in chips] == [str(row.position) for row in found.rows]
    assert [row["data-i"] for row in rows] == [str(row.position) for row in found.rows]
    assert [chip["tabindex"] for chip in chips] == ["0"] + ["-1"] * (len(chips) - 1)
    assert all(chip["aria-label"].startswith(row.token) for chip, row in zip(chips, found.rows, strict=True))
    for number, sentence in ((1, found.sentence1), (2, found.sentence2)):
        for tokens, text in marked_text(render_sentences(found), number):
            for position in tokens.split():
                row = found.rows[int(position)]
                assert sentence[row.start : row.end] == text


def test_looks_differ_without_colour(inspection):
    found = inspection.inspect_pair("roadsclosed 🙂 one", "one", "local:tiny-bert", 16, "longest_first", True)
    looks = {row.token: chip_classes(row) for row in found.rows}
    assert looks["[CLS]"] == "special"
    assert looks["[UNK]"] == "s1 unk"
    assert looks["##s"] == "s1 cont"
    assert looks["[PAD]"] == "pad"
    assert chip_classes(found.rows[found.tokens.index("one")]) in {"s1", "s2"}
    typed = inspection.inspect_pair("one [SEP] two", "one").rows[2]
    assert chip_classes(typed) == "s1 special"
    assert "special, typed" in describe_token(typed)


def test_cut_tokens_and_cut_text_are_shown(inspection):
    found = inspection.inspect_pair("one two three four five six seven", "one two", "", 8)
    source = render_inspection(found)
    assert "Truncation cut away 4 tokens of sentence 1 and 0 tokens of sentence 2." in source
    assert source.count("tk-chip s1 cut") == 4 + 1  # and one in the legend
    assert re.search(r"<del class=\"tk-cut-text\">\s*four five six seven</del>", source)
    long = inspection.inspect_pair("one " * 1000, "two", "", 8)
    assert "The first 200 of each are shown." in render_inspection(long)


def test_bytes_of_one_character_share_a_span(inspection):
    source = render_sentences(inspection.inspect_pair("a 🙂", "one", "local:tiny-roberta"))
    assert ("3 4 5 6", "🙂") in marked_text(source, 1)


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_typed_is_text(inspection, attack):
    found = inspection.inspect_pair(attack, attack)
    both = inspection.separate_and_joined(attack, attack)
    columns = inspection.compare_checkpoints(attack, attack, ["", "local:tiny-roberta"])
    sources = [
        render_inspection(found),
        render_one_or_two(both),
        render_checkpoints(columns, {}),
        render_code(f"tokenizer({attack!r})"),
        render_raw(format_raw(found.raw) + found.decoded, "dictionary"),
    ]
    for source in sources:
        seen = Reader(source)
        assert {tag for tag, _ in seen.tags} <= {
            *("div", "span", "p", "h3", "bdi", "small", "table", "thead", "tbody", "tr", "th", "td"),
            *("ul", "li", "code", "pre", "button", "section", "del"),
        }
        names = {name for _, attributes in seen.tags for name in attributes}
        assert not {name for name in names if name.startswith("on") or name in {"src", "href", "style"}}
    sentence = "".join(
        re.sub("<[^>]+>", "", part)
        for part in render_sentences(found).split('<p class="tk-text" dir="auto">')[1].split("</p>")[:1]
    )
    assert html.unescape(sentence) == attack


def test_a_model_without_token_types_says_so(inspection):
    source = render_inspection(inspection.inspect_pair("one", "two", "local:tiny-roberta"))
    assert "not used by this model" in source
    assert 'class="tk-chip s1"' in source
    assert 'class="tk-chip s2"' in source
    assert "not used by this model" not in render_inspection(inspection.inspect_pair("one", "two"))


def test_places_that_differ_are_ringed_and_said(inspection):
    source = render_one_or_two(inspection.separate_and_joined("one", "two"))
    assert source.count(" odd") == 3
    assert source.count(", differs") == 3
    assert "3 of 6 places differ" in source


def test_unavailable_checkpoints_give_their_reason(inspection):
    source = render_checkpoints(inspection.compare_checkpoints("one", "two", ["FacebookAI/roberta-base"]), {})
    assert "Not available." in source
    assert "FacebookAI/roberta-base" in source


def test_code_is_coloured_and_unchanged():
    code = 'from a import b\n\nx = f("<b>", 1.5)  # "note"\n'
    source = render_code(code)
    assert '<span class="hl-keyword">from</span>' in source
    assert '<span class="hl-comment"># &quot;note&quot;</span>' in source
    assert html.unescape(re.sub("<[^>]+>", "", source.split("<code>")[1])) == code
    assert html.unescape(re.sub("<[^>]+>", "", render_code("x = (").split("<code>")[1])) == "x = ("
