"""Embeddings of long texts, and the order of texts to a question."""

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from rag_app.models.embeddings.openai import CompatibleEmbeddings
from rag_app.models.registry import load_embeddings
from tests.rag_app.server.serving import Served, serving

LONG = "李白病逝于当涂，墓在青山。" * 200


def test_after_an_update_no_old_module_of_the_page_is_used(client: httpx.Client) -> None:
    module = client.get("/static/app.js")
    assert module.headers["Cache-Control"] == "no-cache"
    again = client.get("/static/app.js", headers={"If-None-Match": module.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.fixture
def embedding(home: Path, tiny_embeddings: Path) -> Iterator[Served]:
    model = load_embeddings(str(tiny_embeddings))
    with serving(embeddings=model, embedding=str(tiny_embeddings)) as served:
        yield served


def post(served: Served, **body: Any) -> httpx.Response:
    return httpx.post(f"{served.url}/v1/embeddings", json=body, timeout=60)


def vectors(served: Served, **body: Any) -> Any:
    answer = post(served, **body)
    assert answer.status_code == 200, answer.text
    return np.array([row["embedding"] for row in answer.json()["data"]])


@pytest.mark.parametrize("option", ["truncate", "windows"])
def test_a_text_that_is_too_long_is_refused_where_asked(option: str, embedding: Served) -> None:
    answer = post(embedding, input=["短", LONG + "甲"], **{option: False})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("context_length_exceeded", "input")
    assert "windows: true or truncate: true" in error["message"]


def test_vectors_have_the_id_that_mistrals_client_asks_for(embedding: Served) -> None:
    first, second = (post(embedding, input="甲").json()["id"] for _ in range(2))
    assert first != second


def test_it_is_cut_where_asked(embedding: Served) -> None:
    first, second = vectors(embedding, input=[LONG + "甲", LONG + "乙"], truncate=True)
    assert first @ second > 0.9999
    usage = post(embedding, input=LONG, truncate=True).json()["usage"]
    whole = post(embedding, input=LONG, windows=True).json()["usage"]
    assert usage["prompt_tokens"] < whole["prompt_tokens"]


def test_it_is_read_in_windows_by_default(embedding: Served) -> None:
    more = "洗衣机首次使用前请拆下运输螺栓。" * 50
    texts = [LONG + more, LONG, "短"]
    first, second, short = found = vectors(embedding, input=texts)
    assert np.allclose(found, vectors(embedding, input=texts, windows=True), atol=1e-5)
    assert first @ second < 0.9999
    for vector in (first, second, short):
        assert abs(np.linalg.norm(vector) - 1) < 1e-4
    assert np.allclose(short, vectors(embedding, input="短")[0], atol=1e-5)
    queries = vectors(embedding, input=[LONG], windows=True, input_type="query")
    assert queries.shape == (1, len(short))


def test_another_rag_app_may_embed_long_passages(embedding: Served) -> None:
    client = CompatibleEmbeddings(f"{embedding.url}/v1")
    found = client.embed_array([LONG, "短"])
    assert np.allclose(found, vectors(embedding, input=[LONG, "短"]), atol=1e-3)


def test_vectors_in_the_forms_of_coheres_clients(client: httpx.Client) -> None:
    ours = client.post("/v1/embeddings", json={"input": ["甲", "乙"]}).json()["data"]
    wanted = [one["embedding"] for one in ours]
    parts = [{"content": [{"type": "text", "text": text}]} for text in ("甲", "乙")]
    both = {"embedding_types": ["float", "base64"], "input_type": "search_document"}
    newer = client.post("/v2/embed", json={"inputs": parts, **both}).json()
    assert newer["embeddings"]["float"] == wanted
    raw = [base64.b64decode(one) for one in newer["embeddings"]["base64"]]
    assert np.allclose([np.frombuffer(one, "<f4") for one in raw], wanted)
    plain = client.post("/v2/embed", json={"texts": ["甲", "乙"]}).json()
    assert plain["embeddings"] == {"float": wanted}
    older = client.post("/v1/embed", json={"texts": ["甲", "乙"], "model": "default"}).json()
    assert (older["embeddings"], older["response_type"]) == (wanted, "embeddings_floats")
    assert older["texts"] == ["甲", "乙"]


@pytest.mark.parametrize("inputs", ["甲", ["甲"]])
def test_vectors_for_text_embeddings_inference(inputs: Any, client: httpx.Client) -> None:
    (ours,) = client.post("/v1/embeddings", json={"input": ["甲"]}).json()["data"]
    for path in ("/embed", "/v1/embed"):
        answer = client.post(path, json={"inputs": inputs, "truncate": True, "normalize": True})
        assert answer.json() == [ours["embedding"]]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"output_dimension": 7}, "dimensions"),
        ({"output_dtype": "int8"}, "output_dtype"),
        ({"embedding_type": "binary"}, "encoding_format"),
        ({"embedding_type": ["float", "binary"]}, None),
        ({"truncate": "NONE"}, None),
        ({"truncate": "START"}, "truncate"),
        ({"task": "text-matching"}, None),
        ({"input": [{"text": "甲"}]}, None),
        ({"input": [{"image": "x"}]}, "input.0"),
    ],
)
def test_options_of_voyage_jina_and_nvidia(
    body: Any, param: str | None, client: httpx.Client
) -> None:
    answer = client.post("/v1/embeddings", json={"input": "甲", **body})
    assert answer.status_code == (400 if param else 200), answer.text
    assert answer.json().get("error", {}).get("param") == param


@pytest.mark.parametrize("option", [{"truncation": False}, {"truncate": "NONE"}])
def test_other_apis_too_have_long_texts_refused(option: Any, embedding: Served) -> None:
    with embedding.client() as client:
        answer = client.post("/v1/embeddings", json={"input": LONG * 3, **option})
    assert answer.json()["error"]["code"] == "context_length_exceeded"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"texts": []}, "texts"),
        ({"texts": ["甲"], "embedding_types": ["int8"]}, "embedding_types"),
        ({"images": ["data:"]}, "texts"),
        ({"texts": ["甲"], "truncate": "START"}, "truncate"),
    ],
)
def test_vectors_that_are_refused(body: Any, param: str, client: httpx.Client) -> None:
    answer = client.post("/v2/embed", json=body)
    assert answer.status_code == 400
    assert param in answer.json()["error"]["param"]


@pytest.mark.parametrize("wrapped", [False, True])
def test_texts_are_put_in_order(wrapped: bool, served: Served, client: httpx.Client) -> None:
    texts = ["洗衣机首次使用前请拆下运输螺栓。", "李白在当涂病逝。", "茶叶分六类。"]
    documents = [{"text": text} for text in texts] if wrapped else texts
    body = {"query": "李白在哪里病逝？", "documents": documents, "return_documents": wrapped}
    answer = client.post("/v1/rerank", json=body).json()
    best, *others = answer["results"]
    assert answer["meta"]["billed_units"]  # Vercel's client asks for it
    assert (best["index"], len(others)) == (1, 2)
    assert 1 >= best["relevance_score"] > others[0]["relevance_score"] >= 0
    assert best.get("document") == ({"text": texts[1]} if wrapped else None)
    first = client.post("/rerank", json={**body, "top_n": 1}).json()["results"]
    assert first == [best]


def test_rankings_in_the_forms_of_other_clients(served: Served, client: httpx.Client) -> None:
    texts = ["茶叶分六类。", "李白在当涂病逝。"]
    asked = {"query": "李白在哪里病逝？"}
    (best,) = client.post("/rerank", json={**asked, "documents": texts, "top_n": 1}).json()[
        "results"
    ]
    inference = client.post("/rerank", json={**asked, "texts": texts, "return_text": True}).json()
    every = {**asked, "documents": None, "texts": texts, "return_text": True}
    assert client.post("/rerank", json=every).json() == inference
    assert inference[0] == {"index": 1, "score": best["relevance_score"], "text": texts[1]}
    assert "text" not in client.post("/rerank", json={**asked, "texts": texts}).json()[0]
    for top_k, count in ((1, 1), (None, 2)):
        body = {**asked, "documents": texts, "top_k": top_k}
        voyage = client.post("/v1/rerank", json=body).json()["data"]
        assert len(voyage) == count
        assert voyage[0] == {**best, "document": texts[1]}


def test_rankings_of_passages_and_of_fields(served: Served, client: httpx.Client) -> None:
    texts = ["茶叶分六类。", "李白在当涂病逝。"]
    query = "李白在哪里病逝？"
    body = {"query": {"text": query}, "passages": [{"text": text} for text in texts]}
    for path in ("/ranking", "/v1/ranking"):
        nvidia = client.post(path, json={**body, "truncate": "END"}).json()["rankings"]
        assert [one["index"] for one in nvidia] == [1, 0]
        assert nvidia[0]["logit"] > nvidia[1]["logit"]
    documents = [{"title": text, "text": "无"} for text in texts]
    asked = {"query": query, "documents": documents, "rank_fields": ["title"]}
    plain = client.post("/v1/rerank", json={"query": query, "documents": texts}).json()["results"]
    assert client.post("/v1/rerank", json=asked).json()["results"] == plain
    refused = client.post("/v1/rerank", json={**asked, "rank_fields": ["body"]})
    assert "none of rank_fields" in refused.json()["error"]["message"]
    all_of_it = {**asked, "documents": body["passages"], "rank_fields": []}
    assert client.post("/v1/rerank", json=all_of_it).json()["results"] == plain


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"documents": []}, 400),
        ({"query": " "}, 400),
        ({"model": "x"}, 404),
        ({"top_n": 0}, 400),
        ({"documents": [{"text": "甲"}], "rank_fields": [{}]}, 400),
    ],
)
def test_rankings_that_are_refused(more: Any, status: int, client: httpx.Client) -> None:
    body = {"query": "李白", "documents": ["甲"], **more}
    assert client.post("/v1/rerank", json=body).status_code == status


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        ({"input": [15339, 1917]}, "input", "check_embedding_ctx_length=False"),
        ({"input": [[15339], [1917]]}, "input", "check_embedding_ctx_length=False"),
        ({"input": "甲", "dimensions": 7}, "dimensions", "not trained for its vectors to be cut"),
        ({"input": "甲", "dimensions": 10_000}, "dimensions", "is fixed"),
    ],
)
def test_what_another_model_would_understand(
    body: dict[str, Any], param: str, said: str, embedding: Served
) -> None:
    answer = post(embedding, **body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == param
    assert said in error["message"]


def test_vectors_are_cut_to_lengths_that_a_model_was_trained_for(
    home: Path, tiny_embeddings: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_embeddings, tmp_path / "matryoshka")
    config = folder / "config.json"
    values = {**json.loads(config.read_text("utf-8")), "matryoshka_dimensions": [8, 16]}
    config.write_text(json.dumps(values), encoding="utf-8")
    model = load_embeddings(str(folder))
    with serving(embeddings=model, embedding=str(folder)) as served:
        (whole,) = vectors(served, input="甲")
        (cut,) = vectors(served, input="甲", dimensions=8)
        assert len(cut) == 8 < len(whole)
        assert np.allclose(cut, whole[:8] / np.linalg.norm(whole[:8]), atol=1e-6)
        refused = post(served, input="甲", dimensions=9).json()["error"]
    assert refused["param"] == "dimensions"
    assert "8, 16" in refused["message"]


def test_the_dimensions_that_a_model_has_may_be_named(embedding: Served) -> None:
    (plain,) = vectors(embedding, input="甲")
    (named,) = vectors(embedding, input="甲", dimensions=len(plain))
    assert named.tolist() == plain.tolist()
