"""Pretrained encoders, classifiers, cheaper steps, predictions and metrics."""
