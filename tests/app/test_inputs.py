"""What stands in a page's address, and what of it is used."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mrpc.app.inputs import Linked, choice, choices, flag, read_address, text, whole

LINKS = [
    Linked("step", SimpleNamespace(value="pair"), choice("pair", "data")),
    Linked("s1", SimpleNamespace(value="first"), text(10)),
    Linked("length", SimpleNamespace(value=128), whole(8, 512)),
    Linked("pad", SimpleNamespace(value=False), flag),
    Linked("ways", SimpleNamespace(value=["a", "b"]), choices("a", "b")),
]


def test_an_address_is_read():
    found = read_address("?step=data&s1=caf%C3%A9+%26+co&length=64&pad=true&ways=b,a&other=1", LINKS)
    assert found == {"step": "data", "s1": "café & co", "length": 64, "pad": True, "ways": ["b", "a"]}


@pytest.mark.parametrize(
    "query",
    [
        *("", "?", None, 5, ["step=data"]),
        *(
            "?step=nowhere",
            "?s1=" + "a" * 11,
            "?length=7",
            "?length=1e9",
            "?length=-8",
            "?length=٩",
            "?pad=1",
        ),
        *("?ways=c", "?ways=", "?" + "a" * 30_000, "?length=9" + "9" * 5000, "?unknown=1"),
    ],
)
def test_what_cannot_be_used_is_left_out(query):
    assert read_address(query, LINKS) == {}


def test_the_last_of_several_counts_and_broken_escapes_are_text():
    assert read_address("?length=9&length=10&s1=%zz", LINKS) == {"length": 10, "s1": "%zz"}
