"""Requests that the API describes, and bytes that nothing allows: no 5xx and no traceback.

python -m tests.nightly.malformed [--described 10000] [--raw 2000] [--seed 0]
"""

import argparse
import logging
import os
import socket
import sys
import tempfile
from collections import Counter
from random import Random
from typing import Any
from urllib.parse import urlsplit

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.rag_app.server.serving import LI_BAI, Served, serving, upload

STATUSES = Counter[str]()
BODIES = (
    b'{"model": "rag:x", "messages": [{"role": "user", "content": "\xe6\x9d\x8e"}]}',
    b'{"input": ["a", "b"]}',
    b'{"name": "x"}',
    b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nabc\r\n--b--\r\n',
)
PATHS = (
    "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings", "/v1/rerank",
    "/v1/indexes", "/v1/indexes/x/documents", "/v1/indexes/x/search", "/v1/models", "/api/chat",
    "/api/generate", "/api/embed", "/api/show", "/v1/jobs/1", "/health", "/metrics", "/",
)  # fmt: skip


class Tracebacks(logging.Handler):
    """Collects what is logged with an exception."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.found.append(f"{record.getMessage()}: {record.exc_info[1]!r}")


def count(kind: str, status: int, about: str) -> None:
    STATUSES[f"{kind} {status}"] += 1
    if sum(STATUSES.values()) % 500 == 0:
        print(dict(sorted(STATUSES.items())), flush=True)
    if status >= 500:
        print(f"{status}: {about[:500]}", flush=True)


def described(served: Served, number: int, start: int) -> None:
    """Send requests that the description allows, about as many to each operation."""
    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    for place, operation in enumerate(operations):
        given_to = number // len(operations) + (place < number % len(operations))

        @seed(start + place)
        @settings(
            max_examples=max(given_to, 1),
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def check(case: Any) -> None:
            response = case.call(timeout=60)
            count("described", response.status_code, f"{case.method} {case.path} {case.body!r}")

        check()


def damaged(random: Random) -> bytes:
    """Return a request that was right before a few of its bytes were changed."""
    body = random.choice(BODIES)
    kind = "multipart/form-data; boundary=b" if body.startswith(b"--") else "application/json"
    method = random.choice(["GET", "POST", "POST", "POST", "PUT", "DELETE", "HEAD", "PATCH"])
    head = (
        f"{method} {random.choice(PATHS)} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    request = bytearray(head.encode() + body)
    for _ in range(random.randrange(1, 8)):
        place = random.randrange(len(request))
        match random.randrange(4):
            case 0:
                request[place] = random.randrange(256)
            case 1:
                del request[place : place + random.randrange(1, 20)]
            case 2:
                request[place:place] = random.randbytes(random.randrange(1, 20))
            case 3:
                request[place:place] = request[place : place + random.randrange(200)]
        if not request:
            break
    return bytes(request)


def raw(served: Served, number: int, random: Random) -> None:
    """Send damaged requests, of which some are cut off."""
    address = urlsplit(served.url)
    for _ in range(number):
        request = damaged(random)
        with socket.create_connection((address.hostname, address.port or 0), 60) as connection:
            try:
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
                answer = connection.recv(2000)
            except ConnectionError:
                answer = b""
        status = answer[9:12].decode("latin-1")
        count("raw", int(status) if status.isdecimal() else 0, repr(request))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--described", type=int, default=10_000)
    parser.add_argument("--raw", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tracebacks = Tracebacks()
    logging.getLogger().addHandler(tracebacks)
    for name in ("uvicorn", "uvicorn.error", "rag_app"):
        logging.getLogger(name).addHandler(tracebacks)
    with tempfile.TemporaryDirectory() as home:
        os.environ["RAG_APP_HOME"] = home
        with serving(queue_limit=1000, read_seconds=2) as served, served.client() as client:
            upload(client, "x", **{"李白.txt": LI_BAI})
            described(served, options.described, options.seed)
            print(dict(sorted(STATUSES.items())), flush=True)
            raw(served, options.raw, Random(options.seed))
            alive = client.get("/health").status_code
    print(dict(sorted(STATUSES.items())))
    for one in set(tracebacks.found):
        print(one)
    bad = sum(many for key, many in STATUSES.items() if int(key.split()[1]) >= 500)
    print(f"{bad} answers of 5xx, {len(tracebacks.found)} tracebacks, health {alive}")
    sys.exit(bool(bad or tracebacks.found or alive != 200))


if __name__ == "__main__":
    main()
