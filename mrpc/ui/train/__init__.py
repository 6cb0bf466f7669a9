"""The Train tab: settings, start and stop, the live view of a run, the list of runs."""

from mrpc.ui.train.tab import build_train_tab

__all__ = ["build_train_tab"]
