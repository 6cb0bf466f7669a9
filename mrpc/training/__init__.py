"""The training process: ``python -m mrpc.training RUN_DIR``.

Talks to the app through the run directory alone. Imports core and runs; never gradio, plotly or app.
"""
