import json
import re

import pytest

from mrpc.app.compare.report import Assets, render_report
from mrpc.app.compare.scores import RIVALS, baseline_findings, one_answer_findings, side_finding
from mrpc.errors import UnavailableError
from tests.html import parse


def render(comparison):
    assets = Assets(css="", javascript="/* ours </script> */", plotly_js="/* plotly */")
    return render_report(comparison, assets)


def test_a_report_says_what_was_compared_and_with_what(comparisons, left, right, run):
    comparison = comparisons.compare(left, right, "validation")
    text = render(comparison)
    page = parse(text)
    said = [item.text for item in page.all("p", cls="notice")]
    scores = comparison.scores
    findings = [
        *one_answer_findings(scores),
        *baseline_findings(scores, comparison.baselines(False), RIVALS),
        side_finding(scores),
    ]
    assert said == [" ".join(finding.text.split()) for finding in findings]
    assert "always the more frequent answer" in " ".join(said)
    assert run.config.data.fingerprint in text
    assert run.run_id in text
    for side in comparison.sides:
        assert side.weights_sha256 in text
    assert "torch 2" in text
    assert "num_epochs 3" not in text  # three epochs are the preset's own
    assert "They were not run before" in text
    assert sum(comparison.training_map.counts().values()) == 64
    assert page.one(data_figure="map").role == "img"
    assert str(run.config.data.data_dir) not in text


def test_probes_are_in_it_once_they_were_run(comparisons, left, right):
    comparisons.compare(left, right).behavioral_tests()
    text = render(comparisons.compare(left, right, "validation"))
    assert "swapped order" in text
    assert "They were not run before" not in text


def test_nothing_breaks_out_of_its_scripts(comparisons, left, right):
    text = render(comparisons.compare(left, right, "validation"))
    assert text.count("</script>") == 3
    (content,) = re.findall(r"mrpcTables\.report\((.*)\);</script>", text)
    assert "<" not in content
    figures = json.loads(content)["figures"]
    assert {"roc", "precision-recall", "reliability", "threshold", "baselines", "map"} <= set(figures)
    assert not re.search(r'(?:src|href)="', text)
    assert "default-src 'none'" in text


def test_a_label_of_the_user_is_escaped(comparisons, left, right, run):
    run.paths.label.write_text(json.dumps({"name": "<img src=x onerror=alert(1)>", "note": ""}))
    try:
        text = render(comparisons.compare(left, right, "validation"))
    finally:
        run.paths.label.unlink()
    assert "<img" not in text
    assert "&lt;img" in text


def test_a_run_without_a_map_and_a_baseline_have_reports_too(comparisons, right):
    comparison = comparisons.compare("baseline:majority", "baseline:tfidf", "test")
    with pytest.raises(UnavailableError):
        _ = comparison.training_map
    assert "so they have no data map" in render(comparison)
    assert "always the more frequent answer" in render(
        comparisons.compare("baseline:majority", right, "test")
    )


def test_it_has_a_dark_form(comparisons, left, right):
    text = render(comparisons.compare(left, right))
    assert "color-scheme: light dark" in text
    assert "body.dark {" in text
