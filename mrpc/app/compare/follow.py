"""Show how far long work is while it goes on, in a handler that is a generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import gradio as gr

from mrpc.app.compare.render_sides import render_note, render_progress
from mrpc.errors import MrpcError

if TYPE_CHECKING:
    from mrpc.app.progress import Work

Result = TypeVar("Result")


def followed(
    work: Work[Result], num_outputs: int, render: Callable[[Result], list[Any]]
) -> Iterator[list[Any]]:
    """Yield updates: a progress bar in the first output while the work goes on, then what it gave.

    Args:
        work: may raise an error that is meant for people; it is shown in the first output.
        num_outputs: how many outputs the handler has, the first included.
        render: from the result to the updates of all outputs but the first, which is emptied.
    """
    # Brings scipy and scikit-learn along, which the page need not wait for.
    from mrpc.app.progress import Progress, follow

    others = [gr.skip()] * (num_outputs - 1)
    try:
        for step in follow(work):
            if isinstance(step, Progress):
                yield [render_progress(step.what, step.num_done, step.num_total), *others]
            else:
                yield ["", *render(step.result)]
    except MrpcError as error:
        yield [render_note(str(error), "bad"), *others]
