"""The one way in which inputs, a computation and what is shown are tied together.

:func:`bind` is how every handler of the page is attached: its function takes its inputs by name and returns a
dictionary of the outputs that it changes, by name. :class:`View` is what a person looks at: it is drawn when
it comes into sight and something that it shows has changed since, never before. Which one is in sight is
known in the browser alone (``assets/page.js``).
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast, get_type_hints
from weakref import WeakKeyDictionary

import gradio as gr
from gradio.blocks import BlockContext
from gradio.components import Component
from gradio.components.api_component import Api
from gradio.events import Dependency
from pydantic import TypeAdapter, ValidationError

from mrpc.app.task import Done, Progress, Task, Tasks
from mrpc.app.templates import render_part
from mrpc.app.visitors import caller
from mrpc.errors import InputError, MrpcError, TaskCancelled

if TYPE_CHECKING:
    from mrpc.app.inputs import Linked


Run: TypeAlias = Callable[..., object]
"""What computes: it takes inputs by name."""

Event: TypeAlias = Callable[..., Dependency]
"""An event of a component, as ``button.click``."""

Handler = TypeVar("Handler", bound=Run)
Inputs: TypeAlias = Mapping[str, Component]
Outputs: TypeAlias = Mapping[str, Component]
Updates: TypeAlias = dict[Component, object]

OWNERS_CLASS = "owners"
"""Of components that only the owner can use; dimmed where a visitor looks (``assets/app.css``)."""

PREVIEWS_CLASS = "previews"
"""Of components that visitors can use, too, where they may train previews."""

QUICK: dict[str, object] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "concurrency_limit": None,
    "trigger_mode": "always_last",
    "queue": False,  # one request and its answer: the queue looks for work twenty times a second alone
}
"""How an event is bound whose answer is there at once."""

SLOW: dict[str, object] = {
    "api_visibility": "private",
    "show_progress": "hidden",
    "concurrency_limit": 8,
    "trigger_mode": "once",
}
"""How an event is bound that takes seconds: in Gradio's queue, so that a page may close meanwhile."""


def bind(
    events: Event | Sequence[Event] | None,
    run: Run,
    inputs: Inputs,
    outputs: Outputs,
    *,
    data: Sequence[str] = (),
    tasks: Tasks | None = None,
    changes: bool = False,
    previews: bool = False,
    **options: object,
) -> Dependency:
    """Attach a function to one or several events.

    Args:
        events: an event, or a list of events, of components: ``button.click``. None is the page's loading.
        run: takes the inputs, and what ``data`` names, by name. It returns a dictionary of the outputs that
            it changes, by name, or the value itself where there is one output. A generator may yield several
            of them. An error that is meant for people is shown in the output named ``message``, or else as a
            toast.
        inputs: components by the name that ``run`` gives them.
        outputs: components by name.
        data: entries of the event's own data, which a script of ours in the page sends. Untrusted, and None
            where there are none.
        tasks: given for long work: ``run`` then gets a :class:`mrpc.app.task.Task` named ``task``, and the
            first output shows how far it is and how to cancel it.
        changes: whether it changes something that is not the visitor's own: then it is for the owner alone,
            see :mod:`mrpc.app.access`.
        previews: whether it changes nothing but runs, so that visitors who may train previews may call it;
            what they may do with it is checked where runs are made and ended (:mod:`mrpc.app.visitors`).
        options: for Gradio, laid over :data:`QUICK` or, for long work, :data:`SLOW`.

    Returns:
        Gradio's dependency, to chain further events to.
    """
    handler = _handler(run, inputs, outputs, data, tasks)
    if changes:
        for event in events if isinstance(events, Sequence) else [events]:
            _mark_owners(getattr(event, "__self__", None), PREVIEWS_CLASS if previews else OWNERS_CLASS)
        handler.for_previews = previews  # type: ignore[attr-defined]
    else:
        for_visitors(handler)
    is_long = tasks is not None or _yields(run)
    how = (SLOW if is_long else QUICK) | options
    attach = events if callable(events) else partial(gr.on, events)
    return attach(handler, inputs=list(inputs.values()), outputs=list(outputs.values()), **how)


def for_visitors(handler: Handler) -> Handler:
    """Mark a handler as one that everybody who reaches the page may call."""
    handler.for_visitors = True  # type: ignore[attr-defined]
    return handler


def api(endpoint: Run, *, changes: bool = False, previews: bool = False) -> None:
    """Offer a function to scripts under its own name; see :func:`bind` for ``changes`` and ``previews``.

    Its docstring, parameters and types are what a script, or an agent, is told about it; an argument of
    another type is refused before it runs.
    """
    checked = _checked(endpoint)
    checked.for_previews = previews  # type: ignore[attr-defined]
    gr.api(checked if changes else for_visitors(checked), api_name=endpoint.__name__, concurrency_limit=None)


def share_api_components(demo: gr.Blocks) -> None:
    """Let endpoints share components where parameters or results are alike; Gradio makes one for each."""
    kept: dict[str, Component | BlockContext] = {}

    def shared(one: Component | BlockContext) -> Component | BlockContext:
        if not isinstance(one, Api):
            return one
        # Whatever else tells parameters apart, as their names, is said by the function.
        return kept.setdefault(json.dumps([one.label, one.value, one.api_info()]), one)

    for handler in demo.fns.values():
        handler.inputs = [shared(one) for one in handler.inputs]
        handler.outputs = [shared(one) for one in handler.outputs]
    for one in list(demo.blocks.values()):
        if isinstance(one, Api) and one not in kept.values():
            one.unrender()


def _checked(endpoint: Run) -> Run:
    """Return the endpoint behind a check of its arguments by its signature."""
    types = {name: TypeAdapter(hint) for name, hint in get_type_hints(endpoint).items() if name != "return"}
    signature = inspect.signature(endpoint)

    @functools.wraps(endpoint)
    def run(*values: object, **named: object) -> object:
        for name, value in signature.bind(*values, **named).arguments.items():
            try:
                types[name].validate_python(value, strict=True)
            except ValidationError:
                must = TYPE_WORDS.get(get_type_hints(endpoint)[name], "an object, such as {}")
                raise InputError(f"{name} is {str(value)[:60]}; it must be {must}.") from None
        return endpoint(*values, **named)

    return run


TYPE_WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}
"""What an argument of an endpoint must be, in words; anything else is an object."""


@dataclass(frozen=True)
class View:
    """Something that a person looks at, drawn anew when it is in sight and an input has changed.

    Attributes:
        name: unique on the page.
        inputs: what it shows the effect of, by name.
        outputs: what it draws, by name; the first one is its stage (:func:`mrpc.app.widgets.stage`), and
            shows errors and progress too.
        render: see :func:`bind`.
        tasks: given for long work.
        on_demand: the button that draws it, for a view that is too costly to follow its inputs. Its stage is
            dimmed all the same when they change.
        given: further inputs of the drawing, whose changes draw nothing.
    """

    name: str
    inputs: Inputs
    outputs: Outputs
    render: Run
    tasks: Tasks | None = None
    on_demand: gr.Button | None = None
    given: Inputs = field(default_factory=dict)

    def bind(self) -> None:
        """Attach its drawing; :func:`bind_changes` attaches what makes it outdated."""
        shown = next(iter(self.outputs.values()))
        for component in self.inputs.values():
            _SHOWN_IN.setdefault(component, []).append(self.name)
        if self.on_demand is not None:
            self.on_demand.elem_classes = [*self.on_demand.elem_classes, f"draws-{self.name}"]
        bind(
            shown.draw,  # type: ignore[attr-defined]
            self._draw,
            {**self.inputs, **self.given},
            self.outputs,
            data=("asked",),
            tasks=self.tasks,
            trigger_mode="always_last",  # what changed while it was drawn is drawn next
        )

    def _draw(self, asked: object, **values: object) -> dict[str, object]:
        """Draw it, and stamp the stage with the number of the question, so that the page knows it is new."""
        first, *others = self.outputs
        try:
            result = _by_name(self.render(**values), self.outputs)
        except MrpcError as error:
            tone = "note" if isinstance(error, TaskCancelled) else "bad"
            places = {name: place for name in others if isinstance(place := self.outputs[name], gr.HTML)}
            result = {name: _empty(place) for name, place in places.items()}
            result[first] = render_part("note", str(error), tone)
        drawn = result.get(first)
        if isinstance(drawn, str):
            result[first] = drawn + _stamp(asked or 0)
        return result


_SHOWN_IN: WeakKeyDictionary[Component, list[str]] = WeakKeyDictionary()
"""The names of the views that show the effect of a component."""


def bind_changes(demo: gr.Blocks, links: Sequence[Linked] = ()) -> None:
    """Let the browser notice, by one event, every change of a component of the page, which must be complete.

    It draws the views anew that show the effect, and writes what is linked into the address.
    """
    keys: dict[Component, str] = {link.widget: link.key for link in links}
    watched = [one for one in demo.blocks.values() if isinstance(one, Component)]
    watched = [one for one in watched if one in _SHOWN_IN or one in keys]
    told = json.dumps([[_SHOWN_IN.get(one, []), keys.get(one, ""), one.value] for one in watched])
    gr.on(
        [one.change for one in watched],  # type: ignore[attr-defined]
        None,
        inputs=watched,
        js=f"(...values) => mrpc.noticed({told}, values)",
        api_visibility="private",
        show_progress="hidden",
        trigger_mode="multiple",
    )


def _mark_owners(component: Component | None, whose: str) -> None:
    """Let the page show that a component is not for everybody."""
    if component is not None and whose not in component.elem_classes:
        component.elem_classes = [*component.elem_classes, whose]


def _handler(run: Run, inputs: Inputs, outputs: Outputs, data: Sequence[str], tasks: Tasks | None) -> Run:
    names = tuple(inputs)
    first = next(iter(outputs), None)

    def arguments(event: gr.EventData, values: tuple[object, ...]) -> dict[str, object]:
        told = event._data if isinstance(event._data, dict) else {}
        return dict(zip(names, values, strict=True)) | {name: told.get(name) for name in data}

    def updates(result: object) -> Updates:
        changed = {outputs[name]: value for name, value in _by_name(result, outputs).items()}
        # Gradio takes an empty dict for the value of one output.
        return changed or dict.fromkeys(outputs.values(), gr.skip())

    def said(error: MrpcError, asked: object = None) -> Updates:
        place = "message" if "message" in outputs else first if tasks else None
        if place is None:
            raise error  # a toast: see mrpc.app.page.Page
        text = "" if isinstance(error, TaskCancelled) else render_part("alert", str(error))
        return {outputs[place]: text + _stamp(asked)}

    def answer(event: gr.EventData, *values: object) -> Updates:
        try:
            return updates(run(**arguments(event, values)))
        except MrpcError as error:
            return said(error)

    def answer_in_parts(event: gr.EventData, *values: object) -> Iterator[Updates]:
        try:
            for part in cast("Iterator[object]", run(**arguments(event, values))):
                yield updates(part)
        except MrpcError as error:
            yield said(error)

    def answer_with_progress(event: gr.EventData, request: gr.Request, *values: object) -> Iterator[Updates]:
        assert tasks is not None
        assert first is not None
        given = arguments(event, values)

        def work(task: Task) -> object:
            return run(**given, task=task)

        try:
            who = caller()  # visitors without a cookie count as one
            visitor = request.session_hash or "" if who.is_owner else who.visitor
            for step in tasks.follow(work, visitor, who.address, gives_way=not who.is_owner):
                if isinstance(step, Done):
                    yield updates(step.result)
                elif isinstance(step, Progress):
                    yield {outputs[first]: render_part("progress", step) + step.so_far}
        except MrpcError as error:
            yield said(error, given.get("asked"))

    if tasks is not None:
        return answer_with_progress
    if _yields(run):
        return answer_in_parts
    return answer


def _yields(run: Run) -> bool:
    """Tell whether a function, perhaps a partial one, yields its answer in parts."""
    return inspect.isgeneratorfunction(inspect.unwrap(getattr(run, "func", run)))


def _stamp(asked: object) -> str:
    """Return the number of a view's question as the page looks for it; "" where none was asked."""
    return f"<!--{asked}-->" if isinstance(asked, int) and not isinstance(asked, bool) else ""


def _empty(output: gr.HTML) -> object:
    """Return what a place, a chart or a table shows when there is nothing to show."""
    return "" if "${value}" in output.html_template else None


def _by_name(result: object, outputs: Outputs) -> dict[str, object]:
    """Return the changed outputs by name; any other value than a dictionary is that of the only output."""
    if isinstance(result, dict) and set(result) <= set(outputs):
        return dict(result)
    if not outputs:
        return {}
    assert len(outputs) == 1, f"{result!r:.80} names no outputs, and there are {', '.join(outputs)}"
    return {next(iter(outputs)): result}
