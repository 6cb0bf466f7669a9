"""Encoders as people bring them: each kind is trained, or refused in words before a run exists."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    GPT2Config,
    GPT2Model,
    PreTrainedTokenizerBase,
    RobertaConfig,
    RobertaModel,
)

from mrpc.app.checkpoints import CheckpointShelf
from mrpc.core.model.checkpoint_folder import distinct_names, longest_input, weights_sha256
from mrpc.core.model.classifier import load_base, load_classifier, save_base_tensors, try_checkpoint
from mrpc.core.model.pretrained import (
    list_pretrained,
    load_tokenizer,
    local_pretrained,
    pretrained_size,
    resolve_pretrained,
)
from mrpc.core.text.tokenization import encode_pairs, encode_single
from mrpc.errors import UnavailableError
from tests.tiny import tiny_vocabulary
from tests.tokenizer_families import make_family

SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
Make = Callable[[Path], Path]


@pytest.fixture
def tiny(tiny_checkpoint_dir: Path, tmp_path: Path) -> Path:
    """A copy of the tiny BERT, to be changed."""
    return Path(shutil.copytree(tiny_checkpoint_dir, tmp_path / "mine"))


def bert_config(**changes: Any) -> BertConfig:
    return BertConfig(vocab_size=len(tiny_vocabulary()), **{**SIZES, **changes})


def save_with_head(folder: Path, num_labels: int, **changes: Any) -> Path:
    config = bert_config(num_labels=num_labels, **changes)
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def save_with_positions(folder: Path, num: int) -> Path:
    BertModel(bert_config(max_position_embeddings=num)).save_pretrained(folder)
    return folder


def save_shards(folder: Path) -> Path:
    model = BertModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="40KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    return folder


def rename_tensors(folder: Path, rename: Callable[[str], str | None]) -> Path:
    tensors = load_file(folder / "model.safetensors")
    renamed = {rename(name): tensor for name, tensor in tensors.items() if rename(name)}
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def change_config(folder: Path, **changes: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


def save_roberta(folder: Path, num_positions: int) -> Path:
    """A RoBERTa of vocab.json and merges.txt, which uses two positions fewer than it has."""
    made = make_family(folder.parent, "roberta")
    num_tokens = len(json.loads((made / "tokenizer.json").read_text())["model"]["vocab"])
    tokenizer = json.loads((made / "tokenizer.json").read_text())["model"]
    (made / "vocab.json").write_text(json.dumps(tokenizer["vocab"]))
    merges = [line if isinstance(line, str) else " ".join(line) for line in tokenizer["merges"]]
    (made / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n")
    (made / "tokenizer.json").unlink()
    config = RobertaConfig(
        vocab_size=num_tokens + 5, max_position_embeddings=num_positions, pad_token_id=1, **SIZES
    )
    RobertaModel(config).save_pretrained(made)
    return made


def save_gpt2(folder: Path, num_rows: int = 0) -> Path:
    """A decoder whose tokenizer names no padding token."""
    made = make_family(folder.parent, "roberta")
    for name in ("vocab.json", "merges.txt"):
        (made / name).unlink(missing_ok=True)
    settings = json.loads((made / "tokenizer_config.json").read_text())
    settings.pop("pad_token", None)
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"
    (made / "tokenizer_config.json").write_text(json.dumps(settings))
    (made / "special_tokens_map.json").unlink(missing_ok=True)
    num_tokens = len(json.loads((made / "tokenizer.json").read_text())["model"]["vocab"])
    config = GPT2Config(
        vocab_size=num_rows or num_tokens, n_positions=64, n_embd=32, n_layer=2, n_head=2, pad_token_id=None
    )
    GPT2Model(config).save_pretrained(made)
    return made


LFS_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 90000000\n"


def spoil(folder: Path, name: str) -> Path:
    tensors = load_file(folder / "model.safetensors")
    tensors[name][:] = float("nan")
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


WORK: dict[str, tuple[Make, str]] = {
    "a head for three": (
        lambda tiny: save_with_head(tiny, 3),
        "head of another size (3 instead of 2 numbers) is replaced",
    ),
    "a head for one": (lambda tiny: save_with_head(tiny, 1), "head of another size (1 instead of 2 numbers)"),
    "a head for regression": (
        lambda tiny: save_with_head(tiny, 2, problem_type="regression"),
        "Its config says regression; here it learns two classes",
    ),
    "several labels at once": (
        lambda tiny: save_with_head(tiny, 5, problem_type="multi_label_classification"),
        "says multi_label_classification",
    ),
    "few positions": (lambda tiny: save_with_positions(tiny, 64), "Longer pairs are cut to 64 tokens"),
    "very few positions": (lambda tiny: save_with_positions(tiny, 16), "cut to 16 tokens"),
    "several files": (save_shards, "39 of 39 tensors"),
    "no pooler": (
        lambda tiny: rename_tensors(tiny, lambda name: None if "pooler" in name else name),
        "37 of 39 tensors",
    ),
    "old names of layer norms": (
        lambda tiny: rename_tensors(
            tiny,
            lambda name: name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                "LayerNorm.bias", "LayerNorm.beta"
            ),
        ),
        "39 of 39 tensors",
    ),
    "with the prefix of the model": (
        lambda tiny: rename_tensors(tiny, lambda name: f"bert.{name}"),
        "39 of 39 tensors",
    ),
    "vocab.json and merges.txt, two positions unused": (
        lambda tiny: save_roberta(tiny, 130),
        "cut to 128 tokens",
    ),
    "no padding token": (save_gpt2, "stands in for it"),
}

REFUSED: dict[str, tuple[Make, str]] = {
    "keys with a prefix": (
        lambda tiny: rename_tensors(tiny, lambda name: f"module.{name}"),
        r"0 of its 39 tensors are there.*Missing: bert\.embeddings.*and 35 more.*It has module\.",
    ),
    "keys of a wrapper": (
        lambda tiny: rename_tensors(tiny, lambda name: f"0.auto_model.{name}"),
        r"0 of its 39 tensors are there.*It has 0\.auto_model\.",
    ),
    "half of the layers": (
        lambda tiny: rename_tensors(tiny, lambda name: None if "layer.1" in name else name),
        r"23 of its 39 tensors are there.*layer\.1",
    ),
    "another width": (lambda tiny: change_config(tiny, hidden_size=16), r"2 of its 39 tensors are there"),
    "more tokens than embeddings": (
        lambda tiny: BertModel(BertConfig(vocab_size=100, **SIZES)).save_pretrained(tiny) or tiny,
        r"has \d+ tokens, but the encoder knows 100.*resize_token_embeddings",
    ),
    "an adapter": (
        lambda tiny: (
            (tiny / "config.json").unlink(),
            (tiny / "adapter_config.json").write_text("{}"),
            tiny,
        )[-1],
        "holds an adapter.*merge_and_unload",
    ),
    "only .bin": (
        lambda tiny: (tiny / "model.safetensors").rename(tiny / "pytorch_model.bin").parent,
        r"has no model\.safetensors. It has pytorch_model\.bin, but weights in other formats",
    ),
    "a part is missing": (
        lambda tiny: next(save_shards(tiny).glob("model-*")).unlink() or tiny,
        r"lacks 'model-0\d*-of-\d*\.safetensors', which its model.safetensors.index.json names",
    ),
    "an index that leads out": (
        lambda tiny: (
            (tiny / "model.safetensors").unlink(),
            (tiny / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../x.safetensors"}}'),
            tiny,
        )[-1],
        r"lacks '\.\./x\.safetensors'",
    ),
    "an architecture that nobody knows": (
        lambda tiny: change_config(tiny, model_type="perceptron-9"),
        "does not make a model",
    ),
    "an architecture without a classifier": (
        lambda tiny: change_config(tiny, model_type="vit"),
        "is of the type vit, for which transformers has no classifier of texts",
    ),
    "a vocabulary of another size": (
        lambda tiny: change_config(tiny, vocab_size=5000),
        r"its weights: bert\.embeddings\.word_embeddings\.weight is \(\d+, 32\), not \(5000, 32\)",
    ),
    "positions of another number": (
        lambda tiny: change_config(tiny, max_position_embeddings=64),
        r"does not fit its weights: bert\.embeddings\.position_embeddings",
    ),
    "fewer layers in the config": (
        lambda tiny: change_config(tiny, num_hidden_layers=1),
        r"does not fit its weights, which have 16 more tensors of the encoder: .*layer\.1",
    ),
    "a config of other types": (
        lambda tiny: change_config(tiny, hidden_size="32"),
        "does not make a model: .*hidden_size",
    ),
    "a vocabulary of nothing": (
        lambda tiny: (
            (tiny / "vocab.txt").write_text(""),
            [path.unlink() for path in tiny.glob("*token*")],
            tiny,
        )[-1],
        "tokenizer of local:mine cannot be loaded: .*UNK",
    ),
    "no embeddings of words": (
        lambda tiny: rename_tensors(tiny, lambda name: None if "word_embeddings" in name else name),
        r"38 of its 39 tensors are there.*Missing: bert\.embeddings\.word_embeddings",
    ),
    "weights that are not finite": (
        lambda tiny: spoil(tiny, "encoder.layer.0.attention.self.query.weight"),
        "answers with numbers that are not finite",
    ),
    "a quantized model": (
        lambda tiny: change_config(tiny, quantization_config={"quant_method": "gptq", "bits": 4}),
        "does not make a model: ",
    ),
    "code of its own": (
        lambda tiny: change_config(tiny, model_type="mine", auto_map={"AutoConfig": "code.Config"}),
        "does not make a model: .*names code of its own, which is not run",
    ),
    "pointers of Git LFS": (
        lambda tiny: (tiny / "model.safetensors").write_text(LFS_POINTER) and tiny,
        r"model\.safetensors is a pointer of Git LFS.*git lfs pull",
    ),
    "a tokenizer that is a pointer": (
        lambda tiny: (tiny / "tokenizer.json").write_text(LFS_POINTER) and tiny,
        r"tokenizer\.json is a pointer of Git LFS",
    ),
    "a folder around the model": (
        lambda tiny: (
            shutil.copytree(tiny, tiny / "0_Transformer"),
            (tiny / "config.json").unlink(),
            tiny,
        )[-1],
        r"has no config\.json\. Name the folder inside that has one: 0_Transformer",
    ),
    "only merges.txt": (
        lambda tiny: ((tiny / "tokenizer.json").unlink(), (tiny / "merges.txt").write_text(""), tiny)[-1],
        "neither tokenizer.json nor vocab.txt is there, nor vocab.json with merges.txt",
    ),
    "no fast tokenizer": (
        lambda tiny: ((tiny / "tokenizer.json").unlink(), (tiny / "spiece.model").write_bytes(b"x"), tiny)[
            -1
        ],
        r"spiece\.model alone is not read",
    ),
}


@pytest.mark.parametrize("kind", WORK)
def test_a_kind_that_works_says_what_was_done(tiny: Path, kind: str) -> None:
    make, said = WORK[kind]
    folder = make(tiny)
    name = f"local:{folder.name}"
    answer = CheckpointShelf([folder]).availability(name)
    assert answer.available, answer.reason
    assert said in answer.reason
    checkpoint = resolve_pretrained("", folder)
    assert len(checkpoint.sha256) == 64
    size = pretrained_size(local_pretrained(folder))
    assert size is not None
    assert size.num_parameters > 1000

    model, new_parameters, report = load_classifier(checkpoint, 3)
    assert report.share >= 0.9
    assert model.config.problem_type is None
    tokenizer = load_tokenizer(checkpoint)
    encoded = encode_pairs(tokenizer, ["one " * 600, "two"], ["three " * 600, "four"], max_length=128)
    batch = tokenizer.pad(dict(encoded), return_tensors="pt")
    output = model(**batch, labels=torch.tensor([0, 1]))
    assert output.logits.shape == (2, 2)
    output.loss.backward()
    encode_single(tokenizer, "one " * 600)

    save_base_tensors(model, new_parameters, folder / "base", checkpoint.sha256)
    assert weights_sha256(load_base(checkpoint, folder / "base")) == weights_sha256(model)


@pytest.mark.parametrize("kind", REFUSED)
def test_a_kind_that_does_not_is_refused_in_the_list(tiny: Path, kind: str) -> None:
    make, said = REFUSED[kind]
    folder = make(tiny)
    answer = CheckpointShelf([folder]).availability(f"local:{folder.name}")
    assert not answer.available
    with pytest.raises(UnavailableError, match=said):
        raise UnavailableError(answer.reason)
    assert "Traceback" not in answer.reason


def test_a_trial_leaves_the_random_state_alone_and_is_made_once(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.random.get_rng_state()
    checkpoint = resolve_pretrained("", tiny)
    report = try_checkpoint(checkpoint)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert (report.num_loaded, report.num_tensors, report.notes) == (39, 39, ())
    monkeypatch.setattr("mrpc.core.model.classifier.load_classifier", None)
    assert try_checkpoint(checkpoint) == report


def test_two_folders_of_one_name_are_both_offered(tiny: Path, tmp_path: Path) -> None:
    folders = [tmp_path / parent / "checkpoint-500" for parent in ("one", "two")]
    for folder in folders:
        shutil.copytree(tiny, folder)
    shelf = CheckpointShelf([*folders, tiny, folders[0]])
    offered = {answer.spec.name: answer for answer in shelf.availabilities() if answer.spec.folder}
    assert set(offered) == {"local:one/checkpoint-500", "local:two/checkpoint-500", "local:mine"}
    assert all(answer.available for answer in offered.values())
    assert {answer.spec.label for answer in offered.values()} == {
        *("one/checkpoint-500", "two/checkpoint-500", "mine")
    }


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/a/x", "/b/x"], ["a/x", "b/x"]),
        (["/a/x", "/a/y"], ["x", "y"]),
        (["/a/c/x", "/b/c/x", "/x"], ["a/c/x", "b/c/x", "/x"]),
        (["/a/x", "/a/x"], ["x"]),
    ],
)
def test_names_are_as_short_as_they_can_be(paths: list[str], names: list[str]) -> None:
    got = list(distinct_names([Path(path) for path in paths]).values())
    assert len(set(got)) == len(got)
    assert [name.strip("/") for name in got] == [name.strip("/") for name in names]


def test_specs_keep_the_names_of_before(tiny: Path) -> None:
    assert "local:mine" in list_pretrained([tiny])


@pytest.mark.parametrize(
    ("config", "longest"),
    [
        ({"model_type": "bert", "max_position_embeddings": 512}, 512),
        ({"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "mpnet", "max_position_embeddings": 514}, 512),
        ({"model_type": "gpt2", "n_positions": 1024}, 1024),
        ({"model_type": "t5"}, None),
        ({"model_type": "bert", "max_position_embeddings": "many"}, None),
    ],
)
def test_how_many_tokens_an_encoder_takes(config: dict[str, Any], longest: int | None) -> None:
    assert longest_input(config) == longest


def test_a_tokenizer_is_given_the_length_of_its_encoder(tiny: Path) -> None:
    tokenizer: PreTrainedTokenizerBase = load_tokenizer(resolve_pretrained("", save_with_positions(tiny, 64)))
    assert tokenizer.model_max_length == 64
    assert len(encode_pairs(tokenizer, ["one " * 90], ["two " * 90], max_length=128)["input_ids"][0]) == 64
    assert len(encode_pairs(tokenizer, ["one " * 90], ["two " * 90], max_length=32)["input_ids"][0]) == 32
