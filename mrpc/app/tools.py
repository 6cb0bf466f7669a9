"""The documented endpoints as tools of an agent, by the Model Context Protocol at ``/gradio_api/mcp``.

A tool runs through :meth:`mrpc.app.page.Page.process_api` as every handler does: what changes something is
for the owner, whose key comes as ``Authorization: Bearer KEY``. With ``--auth`` every tool asks for it,
because an agent cannot log in.

Gradio's own server (``mcp_server=True``) is not used: its results are Python's ``repr`` instead of JSON, its
requests to itself fail with ``--auth``, and it caps pydantic below the version that is tested here.

``mcp`` is an optional package (``requirements/mcp.txt``), so it is imported when the server is made.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.utils import get_function_description
from pydantic import TypeAdapter
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from mrpc import __version__
from mrpc.app.access import KEY_ADVICE, Access
from mrpc.app.train.runs import NO_LOSSES
from mrpc.config import TrainConfig

if TYPE_CHECKING:
    from mcp import types

    from mrpc.app.page import Page

PATH = "/gradio_api/mcp"
"""Where the clients of Gradio apps look."""

INSTALL = "--mcp needs a package that is not installed: pip install -r requirements/mcp.txt"
MAX_CALLS = 4
"""Tools that look and compute at once, of the owner's agents and of all others; each uses the same cores."""


@dataclass(frozen=True)
class Tool:
    """A tool, and what it is made of.

    Attributes:
        endpoint: the name of the endpoint that it calls.
        defaults: arguments that an agent need not give, though a script must.
        properties: what an argument that is an object may hold, as JSON schemas, by the argument's name.
    """

    endpoint: str
    defaults: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)


def _hyperparameters() -> dict[str, Any]:
    """Return what a configuration may hold; defaults are left out, because each preset has its own."""
    left_out = {"title", "default", "raise_lower"}
    fields = TrainConfig.model_json_schema()["properties"]
    return {
        name: {key: value for key, value in each.items() if key not in left_out}
        for name, each in fields.items()
    }


TOOLS: Mapping[str, Tool] = {
    "inspect_pair": Tool("inspect_pair"),
    "list_runs": Tool("list_runs"),
    "run_status": Tool("run_status", {"cursor": NO_LOSSES}),
    "compare_pair": Tool("compare_pair"),
    "compare_split": Tool("compare_split"),
    "changes": Tool("flips"),
    "start_run": Tool("start_run", {"config": {}}, {"config": _hyperparameters()}),
    "stop_run": Tool("stop_run", {"save": True}),
    "resume_run": Tool("resume_run"),
}
"""What an agent is offered, by the name that it calls."""

as_json = TypeAdapter(Any).dump_json
"""Write a result as JSON; a number that is not finite becomes null."""


def can_serve_tools() -> bool:
    """Tell whether the package is installed."""
    return find_spec("mcp") is not None


def tool_routes(demo: Page, access: Access) -> list[BaseRoute]:
    """Return the route of the tools, with and without a slash at its end.

    There is nothing to listen to (GET) and no session to end (DELETE): the protocol wants 405 for these.
    """
    endpoint = ToolServer(demo, access)
    return [Route(path, endpoint, methods=["POST"]) for path in (PATH, f"{PATH}/")]


class ToolServer:
    """Answers the protocol's requests, each by itself: a server that keeps nothing of its clients."""

    def __init__(self, demo: Page, access: Access) -> None:
        from mcp.server.lowlevel import Server

        self._demo = demo
        self._access = access
        self._calls = {is_owner: asyncio.Semaphore(MAX_CALLS) for is_owner in (True, False)}
        self._server = Server("MRPC Lab", __version__)
        self._server.list_tools()(self.list_tools)
        self._server.call_tool(validate_input=False)(self.call_tool)  # endpoints check, in words

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if not self._access.lets_agent_in(headers):
            refusal = PlainTextResponse(KEY_ADVICE, 401, headers={"WWW-Authenticate": "Bearer"})
            await refusal(scope, receive, send)
            return
        manager = StreamableHTTPSessionManager(self._server, json_response=True, stateless=True)
        async with manager.run():
            await manager.handle_request(scope, receive, send)

    async def list_tools(self) -> list[types.Tool]:
        """Return the tools with their arguments, as their docstrings and types say."""
        from mcp import types

        endpoints = self._demo.get_api_info()["named_endpoints"]
        found = []
        for name, tool in TOOLS.items():
            description, arguments, _ = get_function_description(self._handler(tool).fn)
            parameters = endpoints[f"/{tool.endpoint}"]["parameters"]
            found.append(
                types.Tool(
                    name=name,
                    description=description,
                    inputSchema=_schema(parameters, arguments, tool),
                    annotations=types.ToolAnnotations(readOnlyHint=self._only_looks(tool)),
                )
            )
        return found

    async def call_tool(self, name: str, arguments: dict[str, Any]) -> types.CallToolResult:
        """Run a tool; what it refuses is a sentence in the result."""
        from mcp import types

        if name not in TOOLS:
            return _answer(types, f"There is no tool {name[:60]!r}. There are {', '.join(TOOLS)}.", True)
        tool = TOOLS[name]
        parameters = self._demo.get_api_info()["named_endpoints"][f"/{tool.endpoint}"]["parameters"]
        given = {**tool.defaults, **arguments}
        has_default = {each["parameter_name"]: each["parameter_has_default"] for each in parameters}
        unknown = given.keys() - has_default.keys()
        missing = [each for each in has_default if each not in given and not has_default[each]]
        if unknown:
            return _answer(types, f"{name} takes no {min(unknown)[:60]!r}.", True)
        if missing:
            return _answer(types, f"{name} needs {missing[0]!r}.", True)
        values = [
            given.get(parameter["parameter_name"], parameter["parameter_default"]) for parameter in parameters
        ]
        asked_by = gr.Request(self._server.request_context.request)
        try:
            async with self._turn(tool, asked_by):
                result = await self._demo.process_api(
                    self._handler(tool), values, self._demo.new_session(), asked_by
                )
        except gr.Error as error:
            return _answer(types, str(error.message), True)
        return _answer(types, as_json(result["data"][0]).decode())

    def _turn(self, tool: Tool, request: gr.Request) -> AbstractAsyncContextManager[Any]:
        """Return what a call waits in; a start or a stop waits for nobody."""
        if not self._only_looks(tool):
            return nullcontext()
        return self._calls[self._access.recognise(request).is_owner]

    def _only_looks(self, tool: Tool) -> bool:
        return getattr(self._handler(tool).fn, "for_visitors", False)

    def _handler(self, tool: Tool) -> Any:
        return next(handler for handler in self._demo.fns.values() if handler.api_name == tool.endpoint)


def _answer(types: Any, text: str, is_error: bool = False) -> Any:
    structured = None if is_error else json.loads(text)
    return types.CallToolResult(
        content=[types.TextContent(type="text", text=text)], structuredContent=structured, isError=is_error
    )


def _schema(parameters: list[dict[str, Any]], descriptions: Mapping[str, str], tool: Tool) -> dict[str, Any]:
    """Return the JSON schema of a tool's arguments."""
    properties, required = {}, []
    for parameter in parameters:
        name = parameter["parameter_name"]
        properties[name] = {**parameter["type"], "description": descriptions[name]}
        if name in tool.properties:
            properties[name]["properties"] = tool.properties[name]
        if name in tool.defaults:
            properties[name]["default"] = tool.defaults[name]
        elif parameter["parameter_has_default"]:
            properties[name]["default"] = parameter["parameter_default"]
        else:
            required.append(name)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
