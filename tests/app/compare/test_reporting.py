import html
import json
import re

import pytest

from mrpc.app.compare.comparison import Comparison
from mrpc.app.compare.render_report import render_report
from mrpc.core.data.load import load_data
from mrpc.runs.store import RunStore
from mrpc.settings import Settings
from tests.finished_run import make_finished_run


@pytest.fixture(scope="module")
def world(tmp_path_factory, tiny_data_dir, tiny_checkpoint_dir):
    runs_dir = tmp_path_factory.mktemp("runs")
    data = load_data("folder", tiny_data_dir)
    run = make_finished_run(runs_dir, data, tiny_checkpoint_dir)
    comparison = Comparison(RunStore(runs_dir), lambda: data, Settings(runs_dir=runs_dir))
    return comparison, f"{run.run_id}:base", f"{run.run_id}:best", run


def render(report):
    return render_report(report, css="", javascript="/* ours </script> */", plotly_js="/* plotly */")


def test_a_report_says_what_was_compared_and_with_what(world):
    comparison, left, right, run = world
    report = comparison.report(left, right, "validation")
    text = render(report)
    assert html.escape(report.comparison.verdict) in text
    assert run.config.data.fingerprint in text
    assert run.run_id in text
    for side in (report.comparison.left.side, report.comparison.right.side):
        assert side.weights_sha256 in text
    assert "torch 2" in text
    assert "num_epochs 3" not in text  # three epochs are the preset's own
    assert "They were not run before" in text
    assert sum(report.map_counts.values()) == 64
    assert str(run.config.data.data_dir) not in text


def test_probes_are_in_it_once_they_were_run(world):
    comparison, left, right, _ = world
    comparison.probe(left, right)
    text = render(comparison.report(left, right, "validation"))
    assert "swapped order" in text
    assert "They were not run before" not in text


def test_nothing_breaks_out_of_its_scripts(world):
    comparison, left, right, _ = world
    text = render(comparison.report(left, right, "validation"))
    assert text.count("</script>") == 3
    (content,) = re.findall(r"mrpcCompare\.report\((.*)\);</script>", text)
    assert "<" not in content
    figures = json.loads(content)["figures"]
    assert {"roc", "precision-recall", "reliability", "threshold", "ladder"} <= set(figures)
    assert not re.search(r'(?:src|href)="', text)
    assert "default-src 'none'" in text


def test_a_label_of_the_user_is_escaped(world):
    comparison, left, right, run = world
    run.paths.label.write_text(json.dumps({"name": "<img src=x onerror=alert(1)>", "note": ""}))
    try:
        text = render(comparison.report(left, right, "validation"))
    finally:
        run.paths.label.unlink()
    assert "<img" not in text
    assert "&lt;img" in text


def test_a_run_without_a_map_and_a_baseline_have_reports_too(world):
    comparison, _, right, _ = world
    report = comparison.report("baseline:majority", "baseline:tfidf", "test")
    assert report.map_counts is None
    assert "It needs the losses of at least three epochs" in render(report)
    assert "always the commoner answer" in render(comparison.report("baseline:majority", right, "test"))
