"""Try an encoder on two pairs before a run is made of it: whether it can be trained is seen, not guessed.

Imports torch when it is asked.
"""

from __future__ import annotations

import gc
from functools import lru_cache

from mrpc.core.model.checkpoint_folder import EncoderReport
from mrpc.core.model.classifier import (
    LIBRARY_FAULTS,
    MAX_TOKENS,
    in_short,
    load_classifier,
    require_known_tokens,
)
from mrpc.core.model.pretrained import PretrainedFiles, load_tokenizer
from mrpc.core.text.tokenization import encode_pairs
from mrpc.errors import UnavailableError

SHORT_PAIR = ("A short sentence.", "Another one.")
LONG_PAIR = ("word " * MAX_TOKENS, "another " * MAX_TOKENS)


@lru_cache(maxsize=32)
def try_checkpoint(checkpoint: PretrainedFiles) -> EncoderReport:
    """Load a checkpoint and let it answer a short pair and the longest one, as a training would.

    Asked again for the same files it answers from memory; what failed is tried anew. The global random state
    stays as it is.

    Raises:
        UnavailableError: when the encoder cannot be trained on pairs; says why.
    """
    import torch

    with torch.random.fork_rng():
        classifier = load_classifier(checkpoint, seed=0)
    model, report = classifier.model, classifier.encoder
    tokenizer = load_tokenizer(checkpoint)
    require_known_tokens(model, tokenizer, checkpoint.name)
    firsts, seconds = zip(SHORT_PAIR, LONG_PAIR, strict=True)
    encoded = encode_pairs(tokenizer, firsts, seconds, max_length=MAX_TOKENS)
    batch = tokenizer.pad(dict(encoded), return_tensors="pt")
    try:
        with torch.no_grad():
            logits = model(**batch, labels=torch.tensor([0, 1])).logits
    except LIBRARY_FAULTS as error:
        raise UnavailableError(
            f"{checkpoint.name} could not answer two pairs of sentences ({in_short(error)}). "
            "It is no encoder that can be trained here."
        ) from None
    finally:
        del model, classifier
        gc.collect()
    if tuple(logits.shape) != (2, 2):
        raise UnavailableError(
            f"{checkpoint.name} answers two pairs with numbers of shape {tuple(logits.shape)}, not (2, 2). "
            "It is no encoder that can be trained here."
        )
    if not torch.isfinite(logits).all():
        raise UnavailableError(
            f"{checkpoint.name} answers with numbers that are not finite: its weights are damaged. "
            "It cannot be trained."
        )
    return report
