"""MRPC Lab: fine-tune an encoder to recognise paraphrases, and see every step of it."""

__version__ = "0.5.0"
