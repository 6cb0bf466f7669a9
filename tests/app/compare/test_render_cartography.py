import json

from mrpc.app.compare import render_cartography as render
from mrpc.app.compare.cartography import MappedPair

PAIR = MappedPair(4, "a b", "a <c>", 1, 0.2, 0.1, 0.0, "hard")


def test_the_map_has_a_mark_for_every_pair_up_to_a_limit():
    points = [(row, 0.1, 0.2, 0.5, ("easy", "hard", "ambiguous")[row % 3]) for row in range(20_001)]
    figure = render.map_figure(points)
    assert sum(len(trace["x"]) for trace in figure["data"]) <= render.MAX_POINTS
    assert "easy (6,667)" in figure["alt"]
    assert len({trace["marker"]["symbol"] for trace in figure["data"]}) == 3
    small = render.map_figure(points[:30])
    assert sum(len(trace["x"]) for trace in small["data"]) == 30
    json.dumps(figure)


def test_opinions_stand_only_where_they_were_asked():
    keys = {column["key"] for column in render.pairs_table([PAIR], "hard")["columns"]}
    assert "opinion" not in keys
    asked = MappedPair(4, "a b", "a <c>", 1, 0.2, 0.1, 0.0, "hard", left=0.1, right=0.2)
    (row,) = render.pairs_table([asked], "labels to doubt")["rows"]
    assert row["opinion"] == "both doubt the label"
