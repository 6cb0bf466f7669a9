import threading

import pytest

from mrpc.recent import Recent


def test_what_was_not_used_for_longest_goes_first():
    recent = Recent(2)
    assert recent.once("a", lambda: 1) == 1
    recent.once("b", lambda: 2)
    assert recent.once("a", lambda: pytest.fail("made anew")) == 1
    recent.once("c", lambda: 3)
    assert recent.get("b") is None
    assert (recent.get("a"), recent.get("c")) == (1, 3)
    recent.trim(1)
    assert (len(recent), recent.get("c")) == (1, 3)


def test_threads_that_ask_together_get_what_one_of_them_made():
    recent, made, gate = Recent(2), [], threading.Event()

    def make():
        gate.wait(5)
        made.append(1)
        return object()

    found = []
    threads = [threading.Thread(target=lambda: found.append(recent.once("a", make))) for _ in range(4)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert (len(made), len(found), len(set(found))) == (1, 4, 1)


def test_what_fails_is_tried_again():
    recent = Recent(2)
    with pytest.raises(ZeroDivisionError):
        recent.once("a", lambda: 1 // 0)
    assert recent.once("a", lambda: 2) == 2


def test_another_version_and_what_is_too_old_are_made_anew():
    recent = Recent(2)
    assert recent.once("a", lambda: 1, version="x") == 1
    assert recent.once("a", lambda: pytest.fail("made anew"), version="x") == 1
    assert recent.once("a", lambda: 2, version="y") == 2
    recent.forget("a")
    assert recent.get("a") is None
    short = Recent(2, max_age_s=0.0)
    assert [short.once("a", lambda number=number: number) for number in range(2)] == [0, 1]
