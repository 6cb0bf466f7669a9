import numpy as np
import pytest
import torch

from mrpc.core.analysis import attribution as att
from mrpc.core.data.pairs import SentencePair
from mrpc.core.model.checkpoint_folder import weights_sha256
from mrpc.core.model.classifier import load_classifier
from mrpc.core.model.prediction import Predictor
from mrpc.core.model.pretrained import load_tokenizer, resolve_pretrained

SENTENCES = ("The mayor of Springfield closed two roads.", "Two roads were not closed by the mayor.")
PAIR = SentencePair(*SENTENCES)


@pytest.fixture(scope="module")
def tokenizer(tiny_checkpoint_dir):
    return load_tokenizer(resolve_pretrained("local:tiny-bert", tiny_checkpoint_dir))


@pytest.fixture
def model(tiny_checkpoint_dir):
    model = load_classifier(resolve_pretrained("local:tiny-bert", tiny_checkpoint_dir), seed=3).model
    with torch.no_grad():  # large weights: an answer that depends on the words
        generator = torch.Generator().manual_seed(1)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.25)
    return model


def margin(model, **inputs):
    with torch.no_grad():
        logits = model(**inputs).logits[0]
    return float(logits[1] - logits[0])


def attribute(model, tokenizer, **options):
    """Return the last and most exact of the attributions."""
    *_, last = att.integrated_gradients(Predictor(model, tokenizer), PAIR, **options)
    return last


def test_the_attributions_add_up_to_the_difference(model, tokenizer):
    result = attribute(model, tokenizer)
    assert result.is_complete
    assert result.error < att.MAX_ERROR
    full = tokenizer(*SENTENCES, return_tensors="pt")
    empty = {**full, "input_ids": full["input_ids"].clone()}
    special = torch.isin(full["input_ids"], torch.tensor([tokenizer.cls_token_id, tokenizer.sep_token_id]))
    empty["input_ids"][~special] = tokenizer.pad_token_id
    assert result.difference == pytest.approx(margin(model, **full) - margin(model, **empty), abs=1e-5)
    assert result.total == pytest.approx(result.difference, rel=att.MAX_ERROR)
    assert [word.value for word in result.words if word.sentence is None] == [0.0, 0.0, 0.0]


def test_they_are_those_of_many_small_steps(model, tokenizer):
    """An independent computation: the midpoint rule with autograd, 400 steps."""
    encoding = tokenizer(*SENTENCES, return_tensors="pt")
    special = torch.isin(
        encoding["input_ids"], torch.tensor([tokenizer.cls_token_id, tokenizer.sep_token_id])
    )
    embed = model.get_input_embeddings()
    full = embed(encoding["input_ids"]).detach()
    empty = embed(torch.where(special, encoding["input_ids"], tokenizer.pad_token_id)).detach()
    gradients = torch.zeros_like(full)
    for step in range(400):
        point = (empty + (step + 0.5) / 400 * (full - empty)).requires_grad_(True)
        logits = model(
            inputs_embeds=point,
            attention_mask=encoding["attention_mask"],
            token_type_ids=encoding["token_type_ids"],
        ).logits
        (logits[0, 1] - logits[0, 0]).backward()
        gradients += point.grad / 400
    by_token = ((full - empty) * gradients).sum(-1)[0].tolist()
    result = attribute(model, tokenizer, max_error=1e-4)
    expected: dict[tuple, float] = {}
    for place, value in enumerate(by_token):
        key = (encoding.sequence_ids(0)[place], encoding.word_ids(0)[place], place * special[0, place].item())
        expected[key] = expected.get(key, 0.0) + value
    np.testing.assert_allclose(
        [word.value for word in result.words], list(expected.values()), atol=0.01 * abs(result.difference)
    )
    assert abs(result.difference) > 0.2


def test_pieces_of_a_word_are_one_word(model, tokenizer):
    result = attribute(model, tokenizer)
    texts = [word.text for word in result.words if word.sentence == 0]
    assert texts == ["The", "mayor", "of", "Springfield", "closed", "two", "roads", "."]


def test_points_are_added_until_the_error_is_small_enough(model, tokenizer, monkeypatch):
    monkeypatch.setattr(att, "POINTS_A_PANEL", 2)
    rounds = list(att.integrated_gradients(Predictor(model, tokenizer), PAIR, max_error=1e-3))
    assert rounds[0].num_points == 4
    assert len(rounds) > 1
    points = [found.num_points for found in rounds]
    assert points == sorted(set(points))
    assert [found.error < 1e-3 for found in rounds] == [False] * (len(rounds) - 1) + [True]
    assert len({found.difference for found in rounds}) == 1
    rough = list(att.integrated_gradients(Predictor(model, tokenizer), PAIR, max_error=0.5))[-1]
    assert rough.is_complete
    assert rough.num_points < points[-1]


def test_points_that_do_not_suffice_are_spent_and_it_says_so(model, tokenizer, monkeypatch):
    monkeypatch.setattr(att, "MAX_POINTS", 40)
    last = attribute(model, tokenizer, max_error=0.0)
    assert last.num_points >= 40
    assert last.is_last
    assert not last.is_complete


def test_only_the_worst_panels_are_halved():
    assert att._num_to_halve([0.5, 0.004, 0.001], allowed=0.02) == 1
    assert att._num_to_halve([0.5, 0.4, 0.3], allowed=0.02) == 3
    assert att._num_to_halve([0.001, 0.0], allowed=0.02) == 1  # errors of one sign: something must go


def test_explaining_leaves_the_model_as_it_was(model, tokenizer):
    before, kernel = weights_sha256(model), model.config._attn_implementation
    predictor = Predictor(model, tokenizer)
    model.train()
    list(att.integrated_gradients(predictor, PAIR))
    att.attention_between(predictor, PAIR, layer=0)
    assert weights_sha256(model) == before
    assert model.training
    assert model.config._attn_implementation == kernel
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


def test_a_word_is_left_out_and_its_space_with_it(model, tokenizer):
    found, first, second = att.shortened_pairs("One, two.", "Three four.")
    assert found == [(0, "One"), (0, "two"), (1, "Three"), (1, "four")]
    assert first == [", two.", "One,.", "One, two.", "One, two."]
    assert second == ["Three four.", "Three four.", "four.", "Three."]
    found, first, second = att.shortened_pairs(*SENTENCES)
    logits = Predictor(model, tokenizer).predict([SENTENCES[0], *first], [SENTENCES[1], *second])
    effects = att.word_effects(found, logits[:, 1].astype(float) - logits[:, 0])
    whole = margin(model, **tokenizer(*SENTENCES, return_tensors="pt"))
    less = margin(
        model, **tokenizer(SENTENCES[0], "Two roads were closed by the mayor.", return_tensors="pt")
    )
    (effect,) = [effect for effect in effects if effect.text == "not"]
    expected = 1 / (1 + np.exp(-less)) - 1 / (1 + np.exp(-whole))
    assert effect.change == pytest.approx(expected, abs=1e-5)


def test_attention_is_that_of_the_eager_model(model, tokenizer):
    result = att.attention_between(Predictor(model, tokenizer), PAIR, layer=-1)
    encoding = tokenizer(*SENTENCES, return_tensors="pt")
    model.set_attn_implementation("eager")
    with torch.no_grad():
        layers = model(**encoding, output_attentions=True).attentions
    ids = encoding.sequence_ids(0)
    first, second = ([place for place, number in enumerate(ids) if number == n] for n in (0, 1))
    expected = layers[-1][0].mean(0)[first][:, second].numpy()
    np.testing.assert_allclose(result.forth, expected, atol=1e-6)
    assert result.layer == 1
    assert result.back.shape == (len(second), len(first))
    np.testing.assert_allclose(result.forth_by_layer[-1], expected.sum(1).mean(), atol=1e-6)
    assert ((result.forth_by_layer > 0) & (result.forth_by_layer < 1)).all()
    assert len(result.back_by_layer) == att.layers_and_heads(model)[0] == 2


def test_token_types_zeroed_and_swapped(model, tokenizer):
    encoding = tokenizer(*SENTENCES, return_tensors="pt")
    zeroed = {**encoding, "token_type_ids": torch.zeros_like(encoding["token_type_ids"])}
    swapped = {**encoding, "token_type_ids": 1 - encoding["token_type_ids"]}
    for change, inputs in (("zeroed", zeroed), ("swapped", swapped)):
        got = att.margin_with_token_types(Predictor(model, tokenizer), PAIR, change)
        assert got == pytest.approx(margin(model, **inputs), abs=1e-5)


def test_a_model_without_token_types_says_so(tokenizer):
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    config = DistilBertConfig(vocab_size=len(tokenizer), dim=32, n_layers=2, n_heads=2, hidden_dim=64)
    model = DistilBertForSequenceClassification(config).eval()
    plain = type(tokenizer).from_pretrained(tokenizer.name_or_path)
    plain.model_input_names = ["input_ids", "attention_mask"]
    assert att.margin_with_token_types(Predictor(model, plain), PAIR, "zeroed") is None
    assert attribute(model, plain).is_complete
    assert att.attention_between(Predictor(model, plain), PAIR, layer=0).forth.shape[0] > 0
