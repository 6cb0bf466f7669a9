"""Sentence pairs from the Hub, a folder, an upload or the bundled sample."""
