"""The Fine-tune tab: settings, start and stop, the live view of a run, the list of runs."""
