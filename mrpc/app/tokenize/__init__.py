"""The Inspect tab: from a pair of sentences to batches, and to one step of training."""
