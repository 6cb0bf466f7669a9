from mrpc.app.compare.recent import Recent


def test_what_was_not_used_for_longest_goes_first():
    recent: Recent[str, int] = Recent(2)
    assert recent.keep("a", 1) == 1
    recent.keep("b", 2)
    assert recent.get("a") == 1
    recent.keep("c", 3)
    assert recent.get("b") is None
    assert (recent.get("a"), recent.get("c")) == (1, 3)
