"""One training loop a file, readable side by side: ``train(session)`` and nothing else.

What they share stands in :class:`mrpc.training.session.TrainingSession`.
"""
