"""The Tokenize tab: how sentences become batches, one view a step."""
