"""What became of a checkpoint's tensors when it was loaded, and when that is too little to train on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mrpc.errors import UnavailableError

MIN_SHARE = 0.9
"""Of the encoder's tensors so many have to come from the checkpoint, or it trains on random numbers."""

MAX_NAMES = 4
"""So many names of tensors are told, and how many more there are."""


@dataclass(frozen=True)
class EncoderReport:
    """What was loaded of an encoder, its head aside.

    Attributes:
        num_tensors: that the encoder has.
        num_loaded: of them that the checkpoint had, in the right shape.
        missing: names of the others.
        misshapen: those of them that the checkpoint has in another shape, with both shapes in words.
        has_words: whether the embeddings of the tokens were loaded.
        left_over: names in the checkpoint of parts that the encoder has too, but not as many.
        unexpected: names in the checkpoint that the model has no place for.
        notes: what was changed to make it a classifier of pairs, a sentence each.
    """

    num_tensors: int
    num_loaded: int
    missing: tuple[str, ...] = ()
    misshapen: tuple[str, ...] = ()
    has_words: bool = True
    left_over: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """The share of the encoder's tensors that were loaded, in [0, 1]."""
        return self.num_loaded / self.num_tensors if self.num_tensors else 0.0

    @property
    def sentence(self) -> str:
        """Say it to a person."""
        new = f"; new and random: {_some(self.missing)}" if self.missing else ""
        return f"{self.num_loaded} of {self.num_tensors} tensors of the encoder are loaded{new}."

    def require_enough(self, where: str) -> None:
        """Refuse an encoder most of whose numbers, or whose words, would be random.

        Raises:
            UnavailableError: names the tensors that are missing or of another shape, and what stands there
                instead.
        """
        if len(self.left_over) > (1 - MIN_SHARE) * self.num_tensors and self.share >= MIN_SHARE:
            raise UnavailableError(
                f"{where}: its config.json does not fit its weights, which have {len(self.left_over)} more "
                f"tensors of the encoder: {_some(self.left_over)}. Correct the config.json, or save the "
                "model again with save_pretrained()."
            )
        if self.misshapen and self.share >= 1 - MIN_SHARE:
            raise UnavailableError(
                f"{where}: its config.json does not fit its weights: {_some(self.misshapen)}. Correct the "
                "config.json, or save the model again with save_pretrained()."
            )
        if self.share >= MIN_SHARE and self.has_words:
            return
        instead = f" It has {_some(self.unexpected)} instead." if self.unexpected else ""
        raise UnavailableError(
            f"{where} is not this encoder: {self.num_loaded} of its {self.num_tensors} tensors are there, "
            f"the others would be random. Missing: {_some(self.missing)}.{instead} Save the model itself "
            "with save_pretrained(), not a wrapper around it."
        )


def report_loading(model: Any, loading: Mapping[str, Any], notes: Sequence[str]) -> EncoderReport:
    """Sum up what ``from_pretrained(output_loading_info=True)`` tells.

    Args:
        model: the classifier; everything under its ``base_model_prefix`` is the encoder, the rest the head.
        loading: missing_keys, unexpected_keys, mismatched_keys.
        notes: what was changed in its config.
    """
    shapes = {name: (tuple(old), tuple(new)) for name, old, new in loading["mismatched_keys"]}
    words = next(model.get_input_embeddings().parameters())
    prefix = f"{model.base_model_prefix}."
    names = [name for name in model.state_dict() if name.startswith(prefix)] or list(model.state_dict())
    absent = new_tensors(loading)
    missing = [name for name in names if name in absent]
    misshapen = [name for name in missing if name in shapes]
    parts = {name.removeprefix(prefix).partition(".")[0] for name in names}
    left_over = [
        name
        for name in sorted(loading["unexpected_keys"])
        if name.removeprefix(prefix).partition(".")[0] in parts
    ]
    return EncoderReport(
        num_tensors=len(names),
        num_loaded=len(names) - len(missing),
        missing=tuple(sorted(missing)),
        misshapen=tuple(f"{name} is {shapes[name][0]}, not {shapes[name][1]}" for name in sorted(misshapen)),
        has_words=not any(name in absent for name, tensor in model.named_parameters() if tensor is words),
        left_over=tuple(left_over),
        unexpected=tuple(sorted(loading["unexpected_keys"])),
        notes=tuple(notes),
    )


def new_tensors(loading: Mapping[str, Any]) -> set[str]:
    """Return the names of the tensors that were drawn: absent in the checkpoint, or in another shape."""
    return {*loading["missing_keys"], *(entry[0] for entry in loading["mismatched_keys"])}


def _some(names: Collection[str]) -> str:
    shown = ", ".join(name[:100] for name in list(names)[:MAX_NAMES])
    return shown + (f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else "")
