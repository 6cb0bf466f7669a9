"""The Compare tab: what fine-tuning changed, from one pair to a whole report."""

from mrpc.ui.compare.tab import build_compare_tab

__all__ = ["build_compare_tab"]
