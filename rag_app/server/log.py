"""The server's log: every line of stderr is one of JSON."""

import io
import json
import logging
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from contextvars import ContextVar
from datetime import UTC, datetime

current_request: ContextVar[str] = ContextVar("current_request", default="")
"""Id of the request that is being answered."""

_LOGGED = ("method", "path", "status", "ms", "client", "key", "origin", "prompt")


class JsonLines(logging.Formatter):
    """Formats a record as one line of JSON; no prompt and no key, unless asked for.

    Example:
        >>> record = logging.makeLogRecord({"msg": "request", "levelname": "INFO", "status": 200})
        >>> json.loads(JsonLines().format(record))["status"]
        200
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        values = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if request_id := current_request.get():
            values["request_id"] = request_id
        values |= {name: getattr(record, name) for name in _LOGGED if hasattr(record, name)}
        if record.exc_info:
            values["traceback"] = self.formatException(record.exc_info)
        return json.dumps(values, ensure_ascii=False)


@contextmanager
def json_log(lowest: int = logging.INFO) -> Iterator[None]:
    """Make every line on stderr one of JSON: the server's log, warnings, and what libraries print.

    Progress bars and handlers of other packages write to `sys.stderr` themselves.

    Args:
        lowest: Level above which the server's own lines are written.
    """
    stderr = sys.stderr
    handler = logging.StreamHandler(stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    level = root.level
    # Those of the command line, too, or what they say on stderr would be in the log once more.
    loggers = [root, logging.getLogger("rag_app"), logging.getLogger("model_prep")]
    before = [logger.handlers for logger in loggers]
    for logger in loggers:
        logger.handlers = []
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("rag_app.server").setLevel(lowest)
    logging.captureWarnings(True)
    with redirect_stderr(_LoggedLines()):
        try:
            yield
        finally:
            logging.captureWarnings(False)
            for logger, handlers in zip(loggers, before, strict=True):
                logger.handlers = handlers
            root.setLevel(level)


class _LoggedLines(io.TextIOBase):
    """A text stream whose lines become warnings in the log."""

    def __init__(self) -> None:
        self._line = ""
        self._guard = threading.Lock()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        with self._guard:
            *lines, self._line = re.split(r"[\r\n]+", self._line + text)
        for line in filter(str.strip, lines):
            logging.getLogger("stderr").warning("%s", line.rstrip())
        return len(text)

    def isatty(self) -> bool:
        return False
