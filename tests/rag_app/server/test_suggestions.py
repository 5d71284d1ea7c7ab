"""Questions that the documents themselves suggest."""

from typing import Any

import httpx

from tests.rag_app.server.serving import Served, upload

HANDBOOK = """# 员工手册

## 第一章 年假

员工工作满一年后，每年享有七天年假，逾期未休的作废。

## 第二章 报销流程

报销单须在每月五日之前交到财务部，并附上发票原件。
"""


def suggested(client: httpx.Client, index: str) -> list[str]:
    answer: Any = client.get(f"/v1/indexes/{index}/suggestions").json()
    return [one["question"] for one in answer["data"]]


def test_they_are_drawn_from_headings_and_answered(served: Served, client: httpx.Client) -> None:
    upload(client, "手册", **{"手册.md": HANDBOOK, "tea.txt": "Green tea is steamed at once."})
    questions = suggested(client, "手册")
    assert len(questions) == 3
    assert any("年假" in question for question in questions)
    assert not any("第一章" in question for question in questions)
    for question in questions:
        asked = [{"role": "user", "content": question}]
        body = {"model": "rag:手册", "messages": asked}
        answer = client.post("/v1/chat/completions", json=body).json()
        assert answer["rag"]["answered"], question


def test_short_headings_and_documents_are_named(served: Served, client: httpx.Client) -> None:
    upload(client, "两份", **{"手册.md": HANDBOOK, "tea.txt": "Green tea is steamed at once."})
    questions = suggested(client, "两份")
    assert "《手册》的年假是怎样的？" in questions
    assert "《手册.md》主要讲了什么？" in questions
    assert "What is tea.txt about?" in questions


def test_nothing_is_suggested_where_there_is_nothing(client: httpx.Client) -> None:
    client.post("/v1/indexes", json={"name": "空"})
    assert suggested(client, "空") == []
    assert client.get("/v1/indexes/none/suggestions").status_code == 404
