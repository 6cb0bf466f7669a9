"""The contract between the app and the training process: a run directory.

Both processes read and write through this package and share nothing else. It imports pydantic, psutil,
filelock and the standard library, never torch or gradio.
"""
