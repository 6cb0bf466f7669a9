"""``/inspect_pair``, asked by gradio_client as a script would."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from tests.live_app import LiveApp

pytestmark = pytest.mark.integration

FIRST, SECOND = "This is the first sentence.", "This is the second one."


@pytest.fixture(scope="module")
def client(live_app: LiveApp) -> Iterator[Client]:
    client = Client(live_app.url, verbose=False)
    yield client
    client.close()


def test_the_course_pair(client):
    answer = client.predict(FIRST, SECOND, "", api_name="/inspect_pair")
    assert answer["checkpoint"] == "all-MiniLM-L6-v2"
    assert answer["input_ids"] == [
        *(101, 2023, 2003, 1996, 2034, 6251, 1012, 102),
        *(2023, 2003, 1996, 2117, 2028, 1012, 102),
    ]
    assert answer["token_type_ids"] == [0] * 8 + [1] * 7
    assert answer["attention_mask"] == [1] * 15
    assert answer["sequence_ids"] == [None, *[0] * 6, None, *[1] * 6, None]
    assert answer["tokens"][:3] == ["[CLS]", "this", "is"]
    assert answer["num_truncated"] == 0
    assert len(answer) == 7


def test_a_long_pair_is_cut_and_a_local_checkpoint_can_be_named(client):
    answer = client.predict("one " * 200, "two", "local:tiny-bert", api_name="/inspect_pair")
    assert len(answer["input_ids"]) == 128
    assert answer["num_truncated"] == 200 + 1 + 3 - 128


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("", SECOND, ""), "Sentence 1 is empty"),
        ((FIRST, " \t\n ", ""), "Sentence 2 is empty"),
        ((FIRST, "a" * 100_000, ""), "at most 10,000"),
        (("a\x00", SECOND, ""), "control character"),
        (("a\x1b[31m", SECOND, ""), "control character"),
        ((FIRST, SECOND, "/etc/passwd"), "it must be one of"),
        ((5, SECOND, ""), "sentence1 is 5; it must be text"),
        ((FIRST, SECOND, {"a": 1}), "it must be text"),
    ],
)
def test_a_bad_argument_gets_a_clear_error(client, arguments, message):
    with pytest.raises(AppError, match=message) as caught:
        client.predict(*arguments, api_name="/inspect_pair")
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize(
    ("sentence", "tokens"),
    [
        ("🙂 one", ["[UNK]", "one"]),
        ("👩\u200d👩\u200d👧 one", ["[UNK]", "one"]),
        ("שלום one", ["ש", "##ל", "##\u05d5", "##ם", "one"]),
        ("cafe\u0301 one", ["cafe", "one"]),
        ("我喜欢 one", ["我", "[UNK]", "[UNK]", "one"]),
        ("<b> one", ["<", "b", ">", "one"]),
        ("one\u200b\u202e two", ["one", "two"]),
    ],
)
def test_odd_text_gets_the_right_answer(client, sentence, tokens):
    answer = client.predict(sentence, SECOND, "", api_name="/inspect_pair")
    assert answer["tokens"][: len(tokens) + 2] == ["[CLS]", *tokens, "[SEP]"]
    assert answer["sequence_ids"][: len(tokens) + 2] == [None, *[0] * len(tokens), None]


def test_a_lone_surrogate_gets_an_answer(live_app):
    import json
    import urllib.request

    body = json.dumps({"data": ["a\ud800", SECOND, ""]}).encode()  # JSON may hold one, UTF-8 may not
    request = urllib.request.Request(
        f"{live_app.url}/gradio_api/call/inspect_pair", body, {"Content-Type": "application/json"}
    )
    event_id = json.load(urllib.request.urlopen(request, timeout=60))["event_id"]
    url = f"{live_app.url}/gradio_api/call/inspect_pair/{event_id}"
    answer = urllib.request.urlopen(url, timeout=60).read().decode()
    assert "event: complete" in answer
    assert '"[CLS]", "a", ' in answer  # it came as U+FFFD, as browsers send it, which BERT's tokenizer drops
    assert "Traceback" not in answer


def test_an_unknown_argument_is_refused_by_name(client):
    with pytest.raises(TypeError, match="max_tokens"):
        client.predict(FIRST, SECOND, "", max_tokens=5, api_name="/inspect_pair")


def test_many_at_once_get_their_own_answers(client):
    sentences = [f"{'one ' * (number + 1)}" for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda text: client.predict(text, "two", "", api_name="/inspect_pair"), sentences)
        )
    assert [answer["tokens"].count("one") for answer in answers] == list(range(1, 17))
