"""Tokens, batches, and what differs between the words of two sentences."""
