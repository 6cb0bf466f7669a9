"""Behavioural checks: pairs made from validation whose answer is known, asked of both sides."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from mrpc.app.compare.follow import followed
from mrpc.app.compare.frame import ACT, Frame
from mrpc.app.compare.render_sides import render_note
from mrpc.app.compare.widgets import build_chart, build_table, quiet, selected_id
from mrpc.errors import InputError, MrpcError

if TYPE_CHECKING:
    from mrpc.app.compare.behavioral import ProbeResult
    from mrpc.app.services import Services

NOTE = quiet(
    "A score on validation says how often a model is right, not what it understood. Here validation’s own "
    "sentences are changed in ways whose answer is known. About 20 s on two cores."
)


def build_probes_view(services: Services, frame: Frame) -> tuple[gr.HTML, gr.Textbox, dict[str, Any]]:
    """Build the view; return its table of cases, the box that names the probe, and how to empty the view."""
    gr.HTML(NOTE)
    with gr.Row(elem_classes="cmp-controls"):
        run = gr.Button("Run the probes", variant="primary", scale=0, elem_id="cmp-probe")
        stop = gr.Button("Cancel", scale=0, elem_id="cmp-probe-stop")
    status = gr.HTML(elem_id="cmp-probe-status")
    with gr.Column(visible=False) as found:
        symmetry = gr.HTML(elem_id="cmp-symmetry")
        chart = build_chart("cmp-probe-chart")
        results = build_table("cmp-probes")
        title = gr.HTML(elem_id="cmp-cases-title")
        cases = build_table("cmp-cases")
    name = gr.Textbox("", visible=False)  # the probe whose cases are listed

    probing = run.click(
        partial(on_probe, services),
        inputs=frame.sides(),
        outputs=[status, found, symmetry, chart, results, title, cases, name],
        **ACT,
    )
    stop.click(lambda: "", outputs=status, cancels=probing, **ACT)

    def show_cases(left: Any, right: Any, event: gr.EventData) -> list[Any]:
        return on_cases(services, left, right, selected_id(event))

    shown = {"inputs": frame.sides(), "outputs": [title, cases, name], **ACT}
    results.select(show_cases, **shown)
    chart.select(show_cases, **shown)
    emptying = {"fn": on_empty, "outputs": [status, found], **ACT}
    return cases, name, emptying


def on_empty() -> list[Any]:
    """Forget what was found for other sides."""
    return ["", gr.update(visible=False)]


def on_probe(services: Services, left: Any, right: Any) -> Iterator[list[Any]]:
    """Ask both sides and show the pass rates."""

    def work(report: Any, should_stop: Any) -> list[ProbeResult]:
        return services.comparison.probe(left, right, report, should_stop)

    yield from followed(work, 8, _render_probes)


def _render_probes(results: list[ProbeResult]) -> list[Any]:
    from mrpc.app.compare.behavioral import flip_share
    from mrpc.app.compare.render_behavioral import describe_symmetry, probes_figure, probes_table

    swapped = next(result for result in results if result.probe.name == "swapped order")
    worst = min(results, key=lambda result: result.num_right / result.num_cases)
    return [
        gr.update(visible=True),
        render_note(describe_symmetry(*flip_share(swapped))),
        probes_figure(results),
        probes_table(results),
        *_render_cases(worst),
    ]


def on_cases(services: Services, left: Any, right: Any, name: object) -> list[Any]:
    """List the cases of the probe that was clicked."""
    try:
        return _render_cases(find_probe(services, left, right, name))
    except MrpcError as error:
        return [render_note(str(error), "bad"), gr.skip(), gr.skip()]


def find_probe(services: Services, left: Any, right: Any, name: object) -> ProbeResult:
    """Return the result of a probe by its name.

    Raises:
        InputError: when there is no such probe.
    """
    for result in services.comparison.probe(left, right):
        if result.probe.name == name:
            return result
    raise InputError(f"There is no probe called {str(name)[:40]!r}.")


def pick_case(services: Services, left: Any, right: Any, name: Any, number: object) -> tuple[str, str]:
    """Return the sentences of a case, counted as the table lists them.

    Raises:
        InputError: when there is no such case.
    """
    from mrpc.app.compare.behavioral import worst_cases

    answers = worst_cases(find_probe(services, left, right, name))
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(answers):
        raise InputError(f"There is no case {str(number)[:40]!r}; the probe has {len(answers)}.")
    case = answers[number].case
    return case.sentence1, case.sentence2


def _render_cases(result: ProbeResult) -> list[Any]:
    from mrpc.app.compare.behavioral import worst_cases
    from mrpc.app.compare.render_behavioral import EXPECTED_WORDS, cases_table

    probe = result.probe
    failed = result.num_cases - result.num_right
    text = (
        f"{probe.name.capitalize()}: {probe.rule} Expected: {EXPECTED_WORDS[probe.expects]}. The right side "
        f"fails {failed} of {result.num_cases} cases; those come first."
    )
    return [render_note(text), cases_table(probe.name, worst_cases(result)), probe.name]
