"""The Model Context Protocol: the tools over stdio or streamable HTTP."""

import logging
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import CallToolResult, InputRequiredResult, ToolAnnotations
from pydantic import ValidationError

import rag_app
from model_prep.errors import ModelPrepError
from model_prep.validation import invalid_reason
from rag_app.engine import RagApp
from rag_app.errors import RagAppError
from rag_app.server.connections import server_config
from rag_app.server.errors import ApiError
from rag_app.server.index_registry import IndexRegistry
from rag_app.server.mcp_tools import IndexTools
from rag_app.server.middleware.access import Access
from rag_app.server.middleware.requests import SecurityMiddleware

_INSTRUCTIONS = """\
Documents of the user, indexed for search. Ask `search` for passages and quote them with the name of
their document; `read_passage` gives the text around one. `ask` has a local language model
answer from the passages, with marks such as [1], and says how sure it is; it takes longer."""


class ToolServer(MCPServer[Any]):
    """An MCP server whose tools say in one line what a user can correct.

    Args:
        registry: The indexes.
        read_only: Leave out the tool that adds documents.
    """

    def __init__(self, registry: IndexRegistry, *, read_only: bool = False) -> None:
        # The package would write its log to stderr in a form of its own.
        logging.getLogger().addHandler(logging.NullHandler())
        super().__init__(
            "rag-app", instructions=_INSTRUCTIONS, version=rag_app.__version__, log_level="ERROR"
        )
        tools = IndexTools(registry)
        reads: list[Callable[..., Any]] = [
            tools.search, tools.ask, tools.list_indexes, tools.list_documents, tools.read_passage,
        ]  # fmt: skip
        for tool in reads:
            self.add_tool(tool, annotations=ToolAnnotations(read_only_hint=True))
        if not read_only:
            writes = ToolAnnotations(read_only_hint=False, idempotent_hint=True)
            self.add_tool(tools.add_document, annotations=writes)

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool.

        Raises:
            ToolError: what a user can correct, in one line.
        """
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            if (message := _message(error.__cause__)) is None:
                raise
            raise ToolError(" ".join(f"{name}: {message}".split())) from error


def run_http(server: ToolServer, listening: socket.socket, access: Access, engine: RagApp) -> None:
    """Serve ``/mcp`` by streamable HTTP until interrupted."""
    app = server.streamable_http_app(
        stateless_http=True,
        # Hosts and origins are checked as for the API.
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
    )
    guarded = SecurityMiddleware(app, access, engine.settings)
    config = server_config(guarded, read_seconds=engine.settings.read_seconds, grace_seconds=1)
    uvicorn.Server(config).run(sockets=[listening])


def _message(error: BaseException | None) -> str | None:
    """Return what a user can do about an error; None where it is not the user's."""
    if isinstance(error, ApiError):
        return str(error.detail)
    if isinstance(error, RagAppError | ModelPrepError | ToolError):
        return str(error)
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {invalid_reason(first)}"
    return None
