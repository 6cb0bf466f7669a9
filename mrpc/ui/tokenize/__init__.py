"""The Tokenize tab: how sentences become batches, one view a step."""

from mrpc.ui.tokenize.tab import build_tokenize_tab

__all__ = ["build_tokenize_tab"]
