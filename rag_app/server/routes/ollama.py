"""Ollama's API, for clients that speak no other."""

import asyncio
import hashlib
import time
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter

from rag_app.errors import ModelError
from rag_app.models.registry import resolve
from rag_app.server.completions.generation import calls_tools
from rag_app.server.completions.ollama import Form, OllamaReply, ReplyLines, loaded_reply
from rag_app.server.errors import ApiError
from rag_app.server.index_registry import LATEST, RAG, IndexRegistry, Registry
from rag_app.server.routes.completions import Answering, Answers
from rag_app.server.routes.models import STARTED, Embedder
from rag_app.server.schemas.models import EmbeddingsRequest
from rag_app.server.schemas.ollama import (
    CHAT_LINE,
    TEXT_LINE,
    ChatReply,
    ModelDetails,
    OllamaChat,
    OllamaEmbed,
    OllamaEmbedding,
    OllamaModel,
    OllamaModelRequest,
    OllamaModels,
    OllamaPrompt,
    ShownModel,
    TextReply,
    Vector,
    Vectors,
    Version,
)
from rag_app.server.schemas.openapi import lines, ollama_errors

router = APIRouter(prefix="/api", tags=["Ollama"])

_VERSION = "0.12.0"
"""The version of Ollama that is followed here. Clients refuse to talk to some that are older."""


@router.get("/version")
def version() -> Version:
    """Show the version of Ollama whose API this is."""
    return Version(version=_VERSION)


@router.get("/tags")
def tags(registry: Registry) -> OllamaModels:
    """List the language model, the embedding model, and `rag:INDEX` for every index."""
    return OllamaModels(models=[_model(name, registry) for name in registry.model_ids()])


@router.get("/ps")
def running(registry: Registry) -> OllamaModels:
    """List the models that are loaded: once the server answers at all, the language model."""
    names = [registry.llm_id] if registry.base.ready else []
    return OllamaModels(models=[_model(name, registry) for name in names])


@router.post("/show", responses=ollama_errors(400, 404, 413))
def show(request: OllamaModelRequest, registry: Registry) -> ShownModel:
    """Show one model, and what it can do."""
    name = _named(request.model or request.name, registry, registry.llm_id)
    shown = _model(name, registry)
    info: dict[str, Any] = {}
    if name == registry.settings.embedding:
        can = ["embedding"]
    elif registry.reranker and name == registry.reranker.name:
        can = []  # Ollama has no such model
    else:
        family = shown.details.family or "unknown"
        length = registry.settings.context_length
        info = {"general.architecture": family, f"{family}.context_length": length}
        tools = not name.startswith(RAG) and registry.base.ready and calls_tools(registry.llm())
        can = ["completion", "tools"] if tools else ["completion"]
    details, changed = shown.details, shown.modified_at
    return ShownModel(modified_at=changed, details=details, model_info=info, capabilities=can)


@router.post(
    "/chat",
    response_model=None,
    responses={
        **ollama_errors(400, 404, 409, 413, 503, 504),
        **lines("Pieces of the answer", CHAT_LINE, ChatReply),
    },
)
async def chat(request: OllamaChat, answers: Answers, registry: Registry) -> Any:
    """Answer a chat: by the language model, or from documents where the model is `rag:INDEX`."""
    empty = not request.messages
    return await _answer(request, answers, registry, "chat", empty=empty)


@router.post(
    "/generate",
    response_model=None,
    responses={
        **ollama_errors(400, 404, 409, 413, 503, 504),
        **lines("Pieces of the answer", TEXT_LINE, TextReply),
    },
)
async def generate(request: OllamaPrompt, answers: Answers, registry: Registry) -> Any:
    """Answer one message, as a chat of that alone; or go on with a text, where it is `raw`."""
    return await _answer(request, answers, registry, "text", empty=not request.prompt)


@router.post("/embed", responses=ollama_errors(400, 404, 413, 503, 504))
async def embed(request: OllamaEmbed, registry: Registry, embedder: Embedder) -> Vectors:
    """Return the vectors of texts by the embedding model, L2-normalized."""
    begun = time.perf_counter_ns()
    asked = EmbeddingsRequest(
        model=await asyncio.to_thread(_embedding, request.model, registry),
        input=request.input,
        dimensions=request.dimensions,
        truncate=request.truncate is not False,
    )
    found, tokens = await embedder.vectors(asked)
    return Vectors(
        model=request.model or embedder.name,
        embeddings=found.tolist(),
        total_duration=time.perf_counter_ns() - begun,
        prompt_eval_count=tokens,
    )


@router.post("/embeddings", responses=ollama_errors(400, 404, 413, 503, 504))
async def embedding(request: OllamaEmbedding, registry: Registry, embedder: Embedder) -> Vector:
    """Return the vector of one text, as clients asked before there was `/api/embed`."""
    name = await asyncio.to_thread(_embedding, request.model, registry)
    asked = EmbeddingsRequest(model=name, input=request.prompt, truncate=True)
    found, _ = await embedder.vectors(asked)
    return Vector(embedding=found[0].tolist())


async def _answer(
    request: OllamaChat | OllamaPrompt,
    answers: Answering,
    registry: IndexRegistry,
    form: Form,
    *,
    empty: bool,
) -> Any:
    model = await asyncio.to_thread(_named, request.model, registry, registry.llm_id)
    shown = request.model or model
    if empty:
        return loaded_reply(shown, form).model_dump(exclude_unset=True)
    generation = await answers.generation(request.to_chat(model))
    reply = OllamaReply(generation, shown, form)
    return await answers.answer(reply, stream=request.stream, form=ReplyLines())


def _named(model: str | None, registry: IndexRegistry, default: str) -> str:
    """Return the id of a model that is asked for with or without the tag ``latest``.

    Raises:
        ApiError: 404, there is none.
    """
    if (model or "default").removesuffix(LATEST) == "default":
        return default
    return registry.model_id(str(model))


def _embedding(model: str | None, registry: IndexRegistry) -> str:
    own = registry.settings.embedding
    if _named(model, registry, own) != own:
        raise ApiError(400, f"{model} gives no vectors; {own} does", param="model")
    return own


def _model(name: str, registry: IndexRegistry) -> OllamaModel:
    file = _file_of(name, registry)
    size, changed = (file.stat().st_size, file.stat().st_mtime) if file else (0, float(STARTED))
    details = _gguf_details(file, changed) if file else ModelDetails()
    return OllamaModel(
        name=name,
        model=name,
        modified_at=datetime.fromtimestamp(changed, UTC),
        size=size,
        digest=hashlib.sha256(f"{name}\n{file}\n{size}\n{changed}".encode()).hexdigest(),
        details=details,
    )


def _file_of(name: str, registry: IndexRegistry) -> Path | None:
    """Return the file of a model, None where it is not a single file."""
    if name != registry.llm_id:
        return None
    try:
        backend, target = resolve(registry.settings.llm)
    except ModelError:  # there is none, and another is used in its place
        return None
    file = Path(target)
    return file if backend == "llamacpp" and file.is_file() else None


@lru_cache(4)
def _gguf_details(file: Path, _: float) -> ModelDetails:
    """Return what the header of a GGUF file says, read once as long as the file is the same."""
    from gguf import LlamaFileType

    from rag_app.models.llms.llamacpp import read_header

    try:
        values = read_header(file).values
    except ModelError:  # which says itself what is wrong when it is loaded
        return ModelDetails(format="gguf")
    family = str(values.get("general.architecture", ""))
    try:
        kind = LlamaFileType(values.get("general.file_type", -1)).name
    except ValueError:
        kind = ""
    return ModelDetails(
        format="gguf",
        family=family,
        families=[family] if family else [],
        parameter_size=str(values.get("general.size_label", "")),
        quantization_level=kind.removeprefix("MOSTLY_").removeprefix("ALL_"),
    )
