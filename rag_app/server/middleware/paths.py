"""Addresses as clients write them: base URLs without ``/v1``, and HEAD in place of GET."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_OPENAI = {"chat", "completions", "embeddings", "models", "rerank", "responses"}
"""First parts of the paths below ``/v1`` that clients of OpenAI's API ask for."""


class PathsMiddleware:
    """Makes of what a client asks for what the routes know."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; of a HEAD without the body of its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["path"].partition("/")[2].partition("/")[0] in _OPENAI:
            path = f"/v1{scope['path']}"
            scope = {**scope, "path": path, "raw_path": path.encode()}
        if scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, without_body)
