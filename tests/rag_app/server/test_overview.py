"""Questions about documents as a whole, over the API, and what an idle server makes for them."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from rag_app.index.indexing.indexer import index_paths
from rag_app.index.store.store import IndexStore
from tests.rag_app.index.hashing import InterruptedEmbeddings
from tests.rag_app.index.stored import waiting_in
from tests.rag_app.server.serving import Served, serving, upload
from tests.scripted import ScriptedChatModel

TEA = "绿茶要蒸青。" + "茶农清早上山采摘嫩芽，摊晾之后入锅。" * 20
ABOUT = {"role": "user", "content": "这些文档主要讲了什么？"}


def test_the_documents_are_its_sources(served: Served, client: httpx.Client) -> None:
    served.replies = ["讲怎样做茶。"]
    upload(client, "茶", **{"绿茶.txt": TEA, "2024/短.txt": "只有一句。"})
    body = {"model": "rag:茶", "messages": [ABOUT]}
    answer: Any = client.post("/v1/chat/completions", json=body).json()
    text = answer["choices"][0]["message"]["content"]
    assert "**绿茶.txt**[2]\n讲怎样做茶。" in text
    assert "**2024/短.txt**[1]\n只有一句[1]。" in text
    titles = [
        one["url_citation"]["title"] for one in answer["choices"][0]["message"]["annotations"]
    ]
    assert set(titles) == {"绿茶.txt", "2024/短.txt"}
    assert answer["rag"]["answered"]
    named = {one["name"] for one in answer["rag"]["citations"]}
    assert named == {"绿茶.txt", "2024/短.txt"}
    with client.stream("POST", "/v1/chat/completions", json={**body, "stream": True}) as events:
        assert "讲怎样做茶" in "".join(events.iter_lines())
    assert len(served.model.prompts) == 1


def test_only_the_documents_asked_for_are_told_of_and_searched(
    served: Served, client: httpx.Client
) -> None:
    files = {"绿茶.txt": TEA, "年/红茶.txt": "红茶要发酵。", "红茶.txt": "红茶不蒸青。"}
    upload(client, "茶", **files)
    documents = client.get("/v1/indexes/茶/documents").json()["data"]
    ids = {one["name"]: one["id"] for one in documents}

    def named(question: str, *names: str) -> set[str]:
        asked = [{"role": "user", "content": question}]
        body = {"model": "rag:茶", "messages": asked, "threshold": 0, "k": 3}
        body["documents"] = [ids.get(name, name) for name in names]
        answer: Any = client.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.json()["error"]["code"]
        return {one["name"] for one in answer.json()["rag"]["citations"]}

    assert named("有哪些文档？", "年/红茶.txt") == {"年/红茶.txt"}
    assert named("绿茶.txt 讲了什么？", "红茶.txt") == {"红茶.txt"}
    assert named("绿茶要蒸青吗？", "红茶.txt", "年/红茶.txt") == {"红茶.txt", "年/红茶.txt"}
    with pytest.raises(AssertionError, match="document_not_found"):
        named("绿茶要蒸青吗？", "红茶.txt", "没有")


def test_an_idle_server_embeds_what_has_no_vectors(home: Path) -> None:
    file, store = home / "绿茶.txt", IndexStore(home / "indexes" / "茶")
    file.write_text(TEA, encoding="utf-8")
    with suppress(KeyboardInterrupt):
        index_paths([str(file)], store=store, embedding=InterruptedEmbeddings())

    assert waiting_in(store)[0] == 1
    with serving(idle_seconds=0.2):
        while waiting_in(store)[0]:
            time.sleep(0.05)


def test_an_idle_server_summarizes_and_yields_to_requests(home: Path) -> None:
    model = ScriptedChatModel(replies=[lambda prompt: "讲怎样做茶。"], delay=0.01)
    with serving(llm=model, idle_seconds=0.2) as served, served.client() as client:
        upload(client, "茶", **{"绿茶.txt": TEA})
        file = home / "indexes/茶/summaries.sqlite3"
        while not (file.exists() and "讲怎样做茶".encode() in file.read_bytes()):
            time.sleep(0.05)
        made = len(model.prompts)
        body = {"model": "rag:茶", "messages": [ABOUT]}
        answer: Any = client.post("/v1/chat/completions", json=body).json()
        assert "讲怎样做茶" in answer["choices"][0]["message"]["content"]
        assert len(model.prompts) == made
