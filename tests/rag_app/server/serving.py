"""A real server in a thread of the test's process, on a free port."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import openai

from rag_app.engine import RagApp
from rag_app.server.app import create_app
from rag_app.server.connections import Server
from rag_app.server.middleware.access import Access
from rag_app.server.serve import listen
from tests.scripted import ScriptedChatModel

LI_BAI = "李白晚年投奔族叔，宝应元年在当涂病逝。"


@dataclass
class Served:
    """A running server."""

    url: str
    engine: RagApp
    model: Any
    app: Any

    @property
    def replies(self) -> list[Any]:
        """What the scripted model says, reply after reply."""
        return self.model.replies  # type: ignore[no-any-return]

    @replies.setter
    def replies(self, replies: Sequence[Any]) -> None:
        self.model.replies[:] = replies
        self.model.prompts.clear()

    def client(self, **options: Any) -> httpx.Client:
        return httpx.Client(base_url=self.url, **{"timeout": 60, **options})


class _PromptServer(Server):
    """One that sees within hundredths of a second that it shall end, not in tenths."""

    async def main_loop(self) -> None:
        counter = 0
        while not await self.on_tick(counter):
            counter += 1
            await asyncio.sleep(0.005)


@contextmanager
def serving(
    *,
    llm: Any = None,
    embeddings: Any = None,
    hashing: bool = True,
    access: Access | None = None,
    **settings: Any,
) -> Iterator[Served]:
    """Run a server; without ``hashing`` the embedding models are those of the indexes."""
    from tests.rag_app.index.hashing import HashingEmbeddings

    model = llm or ScriptedChatModel(replies=["答案是四十二。"])
    embeddings = embeddings or (HashingEmbeddings() if hashing else None)
    if "settings" not in settings:  # else the model could be asked between two requests
        settings.setdefault("idle_seconds", 0)
    engine = RagApp(llm=model, embeddings=embeddings, **settings)
    app = create_app(engine, access=access)
    listening = listen("127.0.0.1", 0)
    server = _PromptServer(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    httpx.get(f"{url}/health", timeout=30).raise_for_status()
    try:
        yield Served(url, engine, model, app)
    finally:
        server.should_exit = True
        thread.join()
        engine.close()
        listening.close()


@contextmanager
def official_of(served: Served) -> Iterator[openai.OpenAI]:
    """OpenAI's own client, which tries once."""
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def upload(client: httpx.Client, index: str, **files: Any) -> dict[str, Any]:
    """Make an index if need be, upload files into it, and return the job when it has ended."""
    client.post("/v1/indexes", json={"name": index})
    parts = [
        ("files", (name, data.encode() if isinstance(data, str) else data))
        for name, data in files.items()
    ]
    answer = client.post(f"/v1/indexes/{index}/documents", files=parts)
    assert answer.status_code == 202, answer.text
    with client.stream("GET", f"/v1/jobs/{answer.json()['id']}/events") as events:
        for _ in events.iter_lines():
            pass
    job: dict[str, Any] = client.get(f"/v1/jobs/{answer.json()['id']}").json()
    return job
