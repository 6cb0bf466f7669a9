"""Publish a finished run: a card that a person would want to read, and the upload. Imports core and runs."""
