"""The code behind each view runs as it stands, and prints what the view and the course show."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
import torch
import transformers

from mrpc.app.checkpoints import CheckpointShelf
from mrpc.app.tokenize.batch import Padding
from mrpc.app.tokenize.pair import Inspection
from mrpc.app.tokenize.snippets import snippet
from mrpc.app.tokenize.step import FirstSteps
from mrpc.core.data.load import load_data
from mrpc.core.model.classifier import load_classifier
from mrpc.core.model.pretrained import resolve_pretrained

FIRST, SECOND = "This is the first sentence.", "This is the second one."
HUB_NAME = "sentence-transformers/all-MiniLM-L6-v2"
BERT, ROBERTA = "google-bert/bert-base-uncased", "FacebookAI/roberta-base"


@pytest.fixture
def run(monkeypatch, tiny_data_dir: Path, tiny_checkpoint_dir: Path):
    """Run code as a script would, with the Hub's names leading to what is here; return its names."""
    folders = {
        HUB_NAME: resolve_pretrained().dir,
        BERT: tiny_checkpoint_dir,
        ROBERTA: tiny_checkpoint_dir,
    }

    def lead_home(loader: Any) -> None:
        original = loader.from_pretrained.__func__

        def from_pretrained(cls: Any, name: str, *args: Any, **options: Any) -> Any:
            return original(cls, folders.get(name, name), *args, **options)

        monkeypatch.setattr(loader, "from_pretrained", classmethod(from_pretrained))

    lead_home(transformers.AutoTokenizer)
    lead_home(transformers.AutoModelForSequenceClassification)
    loaded = load_data("folder", tiny_data_dir).dataset
    monkeypatch.setattr(
        datasets,
        "load_dataset",
        lambda *names: {("nyu-mll/glue", "mrpc"): loaded}[names],
    )

    def run_code(code: str) -> dict[str, Any]:
        ast.parse(code)
        assert "mrpc." not in code
        assert all(len(line) <= 110 for line in code.splitlines())
        names: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(code, "snippet.py", "exec"), names)
        return names

    return run_code


def test_pair(run, capsys):
    names = run(
        snippet(
            "inspect_pair",
            hub_name=HUB_NAME,
            sentence1=FIRST,
            sentence2=SECOND,
            max_length=128,
            truncation="longest_first",
            pad_to_max=False,
        )
    )
    assert names["inputs"]["input_ids"] == [
        *(101, 2023, 2003, 1996, 2034, 6251, 1012, 102),
        *(2023, 2003, 1996, 2117, 2028, 1012, 102),
    ]
    assert names["inputs"]["token_type_ids"] == [0] * 8 + [1] * 7
    assert "'[CLS]', 'this', 'is', 'the', 'first'" in capsys.readouterr().out


@pytest.mark.parametrize("truncation", ["longest_first", "only_first", "only_second", "do_not_truncate"])
def test_pair_with_any_truncation(run, truncation):
    names = run(
        snippet(
            "inspect_pair",
            hub_name=BERT,
            sentence1="one two three four",
            sentence2="five six seven",
            max_length=9,
            truncation=truncation,
            pad_to_max=False,
        )
    )
    assert len(names["inputs"]["input_ids"]) == (10 if truncation == "do_not_truncate" else 9)


def test_a_padded_pair_is_that_of_the_view(run, tiny_checkpoint_dir):
    shown = Inspection(CheckpointShelf([tiny_checkpoint_dir])).inspect_pair(
        FIRST, SECOND, "local:tiny-bert", 40, "longest_first", pad_to_max=True
    )
    names = run(
        snippet(
            "inspect_pair",
            hub_name=BERT,
            sentence1=FIRST,
            sentence2=SECOND,
            max_length=40,
            truncation="longest_first",
            pad_to_max=True,
        )
    )
    assert dict(names["inputs"]) == shown.raw
    assert len(names["inputs"]["input_ids"]) == 40


@pytest.mark.parametrize("text", ['"""', 'it\'s \\ "quoted"', "a\nb", "🙂 {x} %s", "'''"])
def test_any_text_stays_text_in_code(run, text):
    names = run(
        snippet(
            "inspect_pair",
            hub_name=BERT,
            sentence1=text,
            sentence2=text,
            max_length=128,
            truncation="longest_first",
            pad_to_max=False,
        )
    )
    expected = names["tokenizer"](text, text, truncation=True, max_length=128)
    assert names["inputs"]["input_ids"] == expected["input_ids"]


def test_one_or_two(run, capsys):
    names = run(snippet("one_or_two", hub_name=HUB_NAME, sentence1=FIRST, sentence2=SECOND))
    assert len(names["joined"]) == 16
    assert len(names["pair"]["input_ids"]) == 15
    assert capsys.readouterr().out.count("[CLS]") == 3


def test_checkpoints(run, capsys):
    run(snippet("compare_checkpoints", hub_names=[HUB_NAME, BERT], sentence1=FIRST, sentence2=SECOND))
    out = capsys.readouterr().out
    assert "all-MiniLM-L6-v2 ['input_ids', 'token_type_ids', 'attention_mask'] 30522 entries" in out


@pytest.mark.parametrize(
    ("query", "label"), [("", ""), ("storm", ""), ("Storm", "equivalent"), ("", "not_equivalent")]
)
def test_explore(run, capsys, query, label):
    names = run(snippet("explore", split="train", query=query, label=label))
    assert "ClassLabel(names=['not_equivalent', 'equivalent'])" in capsys.readouterr().out
    if query or label:
        assert 0 < len(names["found"]) < 64
        assert not label or set(names["found"]["label"]) == {int(label == "equivalent")}


def test_tokenize_all(run, capsys):
    names = run(snippet("tokenize_all", hub_name=BERT, split="train", num_rows=20))
    assert names["tokenized"].num_rows == 20
    assert "'num_proc': 2" in capsys.readouterr().out


def test_the_failing_map_and_the_fixed_one(tiny_data_dir):
    rows = load_data("folder", tiny_data_dir).dataset["train"]
    with pytest.raises(pa.ArrowInvalid, match="testtest expected length 64 but got length 1"):
        exec(snippet("failing_map"), {"rows": rows})
    names = {"rows": rows}
    exec(snippet("fixed_map"), names)
    assert names["fixed"]["testtest"] == [3] * 64


@pytest.mark.parametrize("pad_to", ["longest", "multiple_of_8", "split", "128", "512"])
def test_padding_gives_the_batch_of_the_view(run, tiny_data_dir, tiny_checkpoint_dir, pad_to):
    data = load_data("folder", tiny_data_dir)
    checkpoints = CheckpointShelf((tiny_checkpoint_dir,))
    batch = Padding(lambda: data, checkpoints).batch("train", "0-7", "local:tiny-bert", pad_to)
    names = run(
        snippet(
            "pad_batch",
            hub_name=BERT,
            split="train",
            rows=range(8),
            pad_to=pad_to,
            longest_of_split=batch.lengths_by_choice["split"],
        )
    )
    assert {key: tuple(value.shape) for key, value in names["batch"].items()} == batch.shapes


def test_model_input_gives_the_loss_of_the_view(run, tiny_data_dir, tiny_checkpoint_dir):
    data = load_data("folder", tiny_data_dir)
    checkpoints = CheckpointShelf((tiny_checkpoint_dir,))
    ready = FirstSteps(lambda: data, checkpoints).first_batch("train", "local:tiny-bert", 8, 5)
    names = run(snippet("model_input", hub_name=BERT, split="train", batch_size=8, seed=5))
    assert names["outputs"].loss.item() == pytest.approx(ready.loss, abs=1e-6)
    assert names["outputs"].logits.shape == (8, 2)


def test_training_step_gives_the_losses_of_the_view(run, capsys, tiny_checkpoint_dir):
    checkpoints = CheckpointShelf((tiny_checkpoint_dir,))
    step = FirstSteps(lambda: None, checkpoints).take_step([FIRST, SECOND], "local:tiny-bert", 1e-3, 42)
    names = run(
        snippet(
            "training_step", hub_name=BERT, sentence1=FIRST, sentence2=SECOND, learning_rate=1e-3, seed=42
        )
    )
    before, after = map(float, capsys.readouterr().out.splitlines()[0].split())
    assert before == pytest.approx(step.loss_before, abs=1e-6)
    assert after == pytest.approx(step.loss_after, abs=1e-6)
    assert isinstance(names["model"], torch.nn.Module)


def test_a_plain_script_draws_the_head_of_the_app(run, tiny_checkpoint_dir):
    names = run(
        snippet("training_step", hub_name=BERT, sentence1=FIRST, sentence2=SECOND, learning_rate=0.0, seed=9)
    )
    model, *_ = load_classifier(resolve_pretrained(checkpoint_dir=tiny_checkpoint_dir), 9)
    assert torch.equal(names["model"].classifier.weight, model.classifier.weight)
