"""The server's process: it ends as soon as it is asked to."""

import socket

import uvicorn
from fastapi import FastAPI

_GRACE_SECONDS = 10
"""For what is not generated: an upload is finished."""


class Server(uvicorn.Server):
    """uvicorn, which would wait for every stream: those are ended first, and say why.

    Args:
        app: Made by `create_app`.
    """

    def __init__(self, app: FastAPI) -> None:
        self._closing = app.state.context.closing
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        super().__init__(config)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End all requests, then the application."""
        self._closing.set()
        await super().shutdown(sockets)
