"""Publishing a finished run: the card tells the truth, and the upload survives what a network does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.torch import load_file, save_file

from mrpc import __version__
from mrpc.app.compare.comparisons import Comparisons
from mrpc.app.train.take_away import Publishing
from mrpc.core.data.load import load_data
from mrpc.core.model.stored_predictions import (
    PairPredictions,
    read_prediction_metadata,
    read_predictions,
    write_predictions,
)
from mrpc.errors import InputError, RunStateError, UnavailableError
from mrpc.publish.answers import run_behavioral_tests
from mrpc.publish.card import build_card, code_span, score_splits
from mrpc.publish.upload import publish_run, write_model_folder
from mrpc.runs.run import Run
from mrpc.runs.store import RunStore
from mrpc.settings import Settings
from tests.finished_run import make_finished_run
from tests.hub_server import TOKEN, HubServer

# huggingface_hub 2.4 uploads large files in a way that its HTTP library calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_data_dir: Path, tiny_checkpoint_dir: Path) -> Run:
    """A finished run of the tiny BERT on a folder of pairs."""
    return make_finished_run(
        tmp_path_factory.mktemp("runs"), load_data("folder", tiny_data_dir), tiny_checkpoint_dir
    )


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub that takes uploads."""
    # Read when huggingface_hub is imported, which another test may have done.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with HubServer() as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)  # nothing asks another hub
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def test_the_card_of_a_run(run: Run, tmp_path: Path) -> None:
    write_model_folder(run, "ann/tiny", tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    _, head, body = text.split("---\n", 2)
    metadata = yaml.safe_load(head)
    assert "base_model" not in metadata, "the Hub takes nothing but an id there"
    assert "license" not in metadata, "nobody knows that of a folder"
    assert "It is `local:tiny-bert` with a classification head" in body
    (result,) = metadata["model-index"]
    (validation,) = [one for one in result["results"] if one["dataset"]["split"] == "validation"]
    metrics = {one["type"]: one["value"] for one in validation["metrics"]}
    assert set(metrics) == {"accuracy", "f1"}
    assert f"| validation | Accuracy | {100 * metrics['accuracy']:.1f} |" in body
    assert run.config.data.fingerprint in body
    assert f"with MRPC Lab {__version__}" in body
    assert "- steps computed in float32 on cpu" in body
    assert "## What it cannot do" in body
    assert "| swapped order" in body
    assert f"--seed {run.config.hyperparameters.seed}" in body
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == (
        run.paths.best_model / "model.safetensors"
    ).read_bytes()


@pytest.mark.parametrize(("num_rare", "warns"), [(0, True), (1, True), (2, False)])
def test_the_card_warns_of_one_answer_as_comparisons_do(
    run: Run, tmp_path: Path, num_rare: int, warns: bool
) -> None:
    copy = RunStore(tmp_path).open(Path(shutil.copytree(run.paths.run_dir, tmp_path / run.run_id)).name)
    margins = np.where(np.arange(100) < num_rare, -1, 1)
    answers = PairPredictions(
        np.arange(100), np.arange(100) % 2, np.stack([-margins, margins], axis=1).astype(np.float32)
    )
    for epoch in (1, 2, 3):
        file = copy.paths.validation_predictions(epoch)
        write_predictions(file, answers, read_prediction_metadata(file))
    assert ("the same answer: it has learned nothing" in str(build_card(copy, "ann/tiny", []))) is warns


def test_the_card_has_the_figures_of_the_comparison(run: Run, tmp_path: Path, tiny_data_dir: Path) -> None:
    copy = RunStore(tmp_path).open(Path(shutil.copytree(run.paths.run_dir, tmp_path / run.run_id)).name)
    shutil.rmtree(copy.paths.derived, ignore_errors=True)
    tested = run_behavioral_tests(copy)
    data = load_data("folder", tiny_data_dir)
    comparisons = Comparisons(RunStore(tmp_path), lambda: data, Settings(runs_dir=tmp_path))
    comparison = comparisons.compare(f"{run.run_id}:base", f"{run.run_id}:best")
    compared = comparison.behavioral_tests()
    assert [(test.name, test.num_passed, test.num_cases) for test in tested] == [
        (result.test.name, result.num_passed.second, result.num_cases) for result in compared
    ]
    scores = comparison.scores.sides.second
    for score in score_splits(copy):
        assert score.value == scores.metrics[score.metric]
        assert score.interval == scores.intervals[score.metric]


def test_weights_that_were_changed_behind_the_runs_back_are_not_tested(run: Run, tmp_path: Path) -> None:
    copy = RunStore(tmp_path).open(Path(shutil.copytree(run.paths.run_dir, tmp_path / run.run_id)).name)
    shutil.rmtree(copy.paths.derived, ignore_errors=True)
    file = copy.paths.best_model / "model.safetensors"
    tensors = load_file(file)
    tensors["classifier.bias"] += 1
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(RunStateError, match="not those that it recorded"):
        run_behavioral_tests(copy)
    assert not copy.paths.derived.exists()


def test_test_is_predicted_for_the_card_when_it_is_asked_for(run: Run, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run.paths.run_dir, tmp_path / run.run_id))
    shutil.rmtree(copy / "derived", ignore_errors=True)
    publishing = Publishing(RunStore(tmp_path))
    assert "It was not scored on test." in publishing.card(run.run_id, "ann/tiny").text
    told: list[tuple[str, int, int]] = []
    card = publishing.card(run.run_id, "ann/tiny", lambda *said: told.append(said), predicts_test=True)
    assert told[-1][0] == "Predicting test, pair"
    num_pairs = told[-1][2]
    assert "not scored on test" not in card.text
    row = rf"^\| test \| F1 \| [\d.]+ \| [\d.]+ to [\d.]+ \| [\d.]+ \| {num_pairs} \|$"
    assert re.search(row, card.text, re.MULTILINE)
    assert {one.dataset_split for one in card.data.eval_results} == {"validation", "test"}
    assert publishing.card(run.run_id, "ann/tiny").text == card.text, "and is kept"
    (kept,) = (copy / "derived").glob("test-*.parquet")
    write_predictions(kept, read_predictions(kept), {"weights_sha256": "0" * 64})
    assert "not scored on test" in publishing.card(run.run_id, "ann/tiny").text, "of other weights"


def test_no_link_of_a_run_is_followed_to_the_hub(run: Run, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run.paths.run_dir, tmp_path / run.run_id))
    (tmp_path / "token").write_text(TOKEN)
    (copy / "models" / "best" / "notes.txt").symlink_to(tmp_path / "token")
    write_model_folder(RunStore(tmp_path).open(run.run_id), "ann/tiny", tmp_path / "out", behavior=[])
    assert "notes.txt" not in {path.name for path in (tmp_path / "out").iterdir()}


def test_uploaded_private_with_all_files(run: Run, hub: HubServer) -> None:
    said: list[str] = []
    url = publish_run(run, "ann/tiny", TOKEN, on_progress=lambda what, done, total: said.append(what))
    assert url.endswith("/ann/tiny")
    assert hub.created == {"ann/tiny": True}
    files = hub.repository("models/ann/tiny")
    assert files is not None
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json"} <= set(files)
    assert files["model.safetensors"] == (run.paths.best_model / "model.safetensors").read_bytes()
    assert said[-1] == "Published"
    assert TOKEN not in "".join(
        path.read_text(errors="replace") for path in run.paths.run_dir.rglob("*.json*") if path.is_file()
    )


def test_published_again_and_in_public(run: Run, hub: HubServer) -> None:
    publish_run(run, "ann/tiny", TOKEN, is_private=False)
    publish_run(run, "ann/tiny", TOKEN, is_private=False)
    assert hub.created == {"ann/tiny": False}
    hub.requests.clear()
    with pytest.raises(UnavailableError, match="everybody can see it"):  # "private" would be a lie
        publish_run(run, "ann/tiny", TOKEN)
    assert not [request for request in hub.requests if "/commit/" in request]


@pytest.mark.parametrize(
    ("refusals", "said"),
    [
        ({"/repos/create": [403]}, "may not write there"),
        ({"/repos/create": [409]}, "answer without 'url'"),
        ({"/commit/": [409, 409, 409, 409, 409, 409]}, "409"),
        ({"/whoami": [0] * 9}, "cannot be reached"),
        ({"/large/": [403]}, "may not write there"),
    ],
)
def test_a_refusal_says_what_to_do(
    run: Run, hub: HubServer, refusals: dict[str, list[int]], said: str
) -> None:
    hub.refusals = refusals
    with pytest.raises(UnavailableError, match=said):
        publish_run(run, "ann/tiny", TOKEN)


def test_a_wrong_token(run: Run, hub: HubServer) -> None:
    with pytest.raises(UnavailableError, match=r"refused \(401\).*token is wrong") as caught:
        publish_run(run, "ann/tiny", "hf_wrong")
    assert "hf_wrong" not in str(caught.value)
    assert hub.created == {}


def test_a_broken_upload_of_the_weights_is_tried_again(run: Run, hub: HubServer) -> None:
    hub.refusals = {"/large/": [500, 503]}
    publish_run(run, "ann/tiny", TOKEN)
    files = hub.repository("models/ann/tiny")
    assert files is not None
    assert files["model.safetensors"] == (run.paths.best_model / "model.safetensors").read_bytes()


@pytest.mark.parametrize("name", ["", "tiny", "ann/", "ann/../x", "ann/a b", "https://x/y", "a/b/c"])
def test_a_name_that_cannot_be_one(run: Run, name: str) -> None:
    with pytest.raises(InputError, match="owner/name"):
        publish_run(run, name, TOKEN)


def test_an_unfinished_run(tiny_data_dir: Path, tmp_path: Path) -> None:
    from mrpc.config import TrainConfig
    from mrpc.runs.layout import DataRef

    ref = DataRef.model_validate(load_data("folder", tiny_data_dir))
    with pytest.raises(RunStateError, match="no fine-tuned weights"):
        publish_run(RunStore(tmp_path).create(TrainConfig(), ref, None), "ann/x", TOKEN)


@pytest.mark.parametrize("text", ["a`b", "```\n# head", "x | y\n| z", "", "  "])
def test_a_foreign_text_stays_one_code_span(text: str) -> None:
    span = code_span(text)
    assert span.startswith("`")
    assert span.endswith("`")
    assert span.count("`") == 2
    assert "\n" not in span


@pytest.mark.integration
@pytest.mark.slow
def test_from_a_shell(run: Run, hub: HubServer) -> None:
    command = [sys.executable, "-m", "mrpc.publish", str(run.paths.run_dir), "ann/shell", "--predict-test"]
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_TOKEN": TOKEN,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
    }
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Published at" in done.stdout
    assert b"| test | F1 |" in (hub.repository("models/ann/shell") or {})["README.md"]
    assert TOKEN not in done.stdout + done.stderr
    missing = subprocess.run(
        [*command[:3], str(run.paths.run_dir.parent / "no-run"), "ann/shell"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert missing.returncode == 1
    assert "Traceback" not in missing.stderr


@pytest.mark.parametrize(
    ("refusals", "said"),
    [
        ({"/whoami": [429] * 9}, "takes no more requests"),
        ({"/repos/create": [429] * 9}, "takes no more requests"),
        ({"/repos/create": [401] * 9}, "token is wrong"),
        ({"/repos/create": [0] * 9}, "cannot be reached"),
    ],
)
def test_a_refusal_in_the_page_is_a_sentence(
    run: Run, hub: HubServer, monkeypatch: pytest.MonkeyPatch, refusals: dict[str, list[int]], said: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.refusals = refusals
    publishing = Publishing(RunStore(run.paths.run_dir.parent))
    publishing.card(run.run_id, "ann/tiny")  # its tests are run once
    with pytest.raises(UnavailableError, match=said) as caught:
        publishing.publish(run.run_id, "ann/tiny", True)
    assert TOKEN not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_card_is_seen_before_and_is_the_one_that_is_published(
    run: Run, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    shutil.rmtree(run.paths.derived, ignore_errors=True)  # where the answers to its tests are kept
    publishing = Publishing(RunStore(run.paths.run_dir.parent))
    told: list[tuple[int, int]] = []
    card = publishing.card(run.run_id, "ann/tiny", lambda what, done, total: told.append((done, total)))
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] > 0
    hub.refusals = {"/large/": [500, 0]}  # a broken line is tried again
    url = publishing.publish(run.run_id, "ann/tiny", False)
    assert url == f"{hub.url}/ann/tiny"
    assert hub.created == {"ann/tiny": False}
    files = hub.repository("models/ann/tiny")
    assert files is not None
    assert files["README.md"].decode() == str(card)


def test_without_a_token_or_a_hub(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    publishing = Publishing(RunStore(run.paths.run_dir.parent))
    with pytest.raises(UnavailableError, match="HF_HUB_OFFLINE is set"):
        publishing.publish(run.run_id, "ann/tiny", True)
    monkeypatch.setattr("mrpc.publish.upload.hub_is_disabled", lambda: False)
    monkeypatch.setattr("mrpc.publish.upload.get_token", lambda: None)
    with pytest.raises(UnavailableError, match=r"no token of the Hub on the machine.*hf auth login"):
        publishing.publish(run.run_id, "ann/tiny", True)
    for name in ("", "tiny", None, 7, "a/b/c"):
        with pytest.raises(InputError, match="owner/name"):
            publishing.publish(run.run_id, name, True)
