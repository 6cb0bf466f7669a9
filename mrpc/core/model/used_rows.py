"""Train only those word embeddings that the training data can touch.

MRPC uses two fifths of BERT's 30,522 words. The others never get a gradient, so AdamW without weight decay
leaves them as they are; a dense table still costs their gradient, their part of the norm and their step. Here
the used rows are a parameter of their own, and the table is brought up to date when somebody looks at it: in
evaluation, in a ``state_dict`` or in a saved folder. What is computed is the same.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

NAME = "used_rows"


class UsedRows:
    """The trained rows of a table of word embeddings.

    Args of the constructor are the table, which keeps its name and shape in every ``state_dict``, and the
    token ids of the training data, int64 [R], each once.
    """

    def __init__(self, table: nn.Embedding, token_ids: torch.Tensor) -> None:
        self._table = table
        self._ids = token_ids
        self._places = torch.full((table.num_embeddings,), -1).index_copy(
            0, token_ids, torch.arange(len(token_ids))
        )
        self._is_ahead = False
        table.weight.requires_grad_(False)
        self._rows = nn.Parameter(table.weight.detach()[token_ids].clone())  # [R, W]
        table.register_parameter(NAME, self._rows)
        table.register_state_dict_post_hook(partial(self._leave_out))  # torch marks it, a method it cannot
        table.register_load_state_dict_pre_hook(self._take_over)

    def __call__(self, input_ids: torch.Tensor, training: bool) -> torch.Tensor:
        """Look words up: [N] -> [N, W]; in training all of them must be in the training data."""
        if training:
            self._is_ahead = True
            return F.embedding(self._places[input_ids], self._rows)
        self._bring_up_to_date()
        return F.embedding(input_ids, self._table.weight)

    def _bring_up_to_date(self) -> None:
        if self._is_ahead:
            with torch.no_grad():
                self._table.weight[self._ids] = self._rows
            self._is_ahead = False

    def _leave_out(self, table: nn.Module, state: dict[str, object], prefix: str, metadata: object) -> None:
        self._bring_up_to_date()
        del state[prefix + NAME]

    def _take_over(self, table: nn.Module, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        state[prefix + NAME] = state[prefix + "weight"][self._ids]
        self._is_ahead = False
