"""What the model does: data, tokens, batches, checkpoints, metrics, predictions.

Here live torch, transformers, datasets and evaluate. Nothing here imports gradio, plotly, accelerate or
:mod:`mrpc.runs`, so the page and the training process compute the same things by the same functions.
"""
