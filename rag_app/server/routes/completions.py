"""``/v1/chat/completions`` and ``/v1/completions``."""

import asyncio
import logging
import re
from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import quote, unquote

from fastapi import APIRouter, Depends, Request

from rag_app.models.llms.openai import CompatibleChat
from rag_app.server.completions.chat import DocumentChat, index_address
from rag_app.server.completions.generation import ChatGeneration, TextGeneration, options_of
from rag_app.server.completions.relay import Relay, use_content
from rag_app.server.errors import ApiError
from rag_app.server.event_stream import ServerSentEvents, generated_stream
from rag_app.server.index_registry import LATEST, RAG, Registry
from rag_app.server.job_records import JobRecords
from rag_app.server.middleware.requests import DEPLOYMENT, asked_model
from rag_app.server.queueing import GeneratedText, ServerQueues
from rag_app.server.schemas.chat import ChatRequest, Message
from rag_app.server.schemas.completions import (
    CHAT_CHUNK,
    TEXT_CHUNK,
    ChatCompletion,
    CompletionRequest,
    TextCompletion,
)
from rag_app.server.schemas.openapi import errors, streamed
from rag_app.server.schemas.requests import Requested

router = APIRouter(prefix="/v1", tags=["OpenAI"])

_log = logging.getLogger("rag_app.server")
_LIMITS = {"max_tokens", "max_completion_tokens"}
_SYSTEM = ("system", "developer")
_CONVERSATION = r"(?:the|this|our|a)\ (?:chat|conversation|discussion|thread)\b"
_TITLE = "(?:标题|名字|名称)"
_CHAT = "(?:会话|对话|聊天)"
_DIGESTS = "summari|summary|title|descri|extract|continuing|generating"
_DIGEST = rf"\A.{{0,250}}\b(?:{_DIGESTS})[^.;!?\n]{{0,100}}"
_SUMMARIZE = r"\A.{0,250}\b(?:summary\ of|summari[sz]e)\ "
_STATED = r"(?![^.。:：;；!！\n]{0,200}[?？])"  # what people ask about such a thing is a question
_TASKS = re.compile(
    rf"""
    \A\s*\#{{3}}\s*Task:.*(?:<chat_history>
        |\#{{3}}\s*(?:Chat\ History|Output|Guidelines|Instructions))
    | <chat_?history>
    | \AAvailable\ Tools:.*\bJSON\b{_STATED}
    | \AYou\ have\ been\ provided\ with\ a\ set\ of\ responses\ from\ various\ models\b
    | \AYour\ task\ is\ to\ reflect\ the\ speaker's\b.{{0,60}}\bemoji\b
    | (?:
      \A(?:Please\ )?(?:generate|provide|write|create)\ a\ (?:concise|short|brief).{{0,80}}\ title
    | \A.{{0,100}}\b(?:generate|provide|write|create|give|reply\ with)\ an?\b
        .{{0,60}}\btitle\b.{{0,60}}\b{_CONVERSATION}
    | \A.{{0,100}}\bsummari[sz]e\ {_CONVERSATION}.{{0,30}}\btitle\b
    | \A.{{0,60}}\b(?:titling|titles)\ assistant\b
    | \ASummari[sz]e\ in\ a\ \S{{1,20}}\ title\b
    | \btitle\ for\ the\ (?:previous|above|following)\ (?:query|question|message)\b
    | \A(?:Please\ )?(?:generate|provide|write|create)\ an?\b.{{0,30}}\bsummary\ of\ (?:this|our)
        \ (?:chat|conversation)\b
    | {_DIGEST}\b(?:conversation|chat)(?:\ history)?\ (?:so\ far|above|below)\b
    | {_DIGEST}\bconversations?\ between\ (?:the\ )?user\ and\ (?:the\ |an\ )?(?:AI\ )?assistant\b
    | {_SUMMARIZE}(?:\w+\ )?following\ (?:conversation|chat)\b
    | {_SUMMARIZE}the\ (?:lines\ of\ )?(?:conversation|chat)(?:\ history)?\ provided\b
        (?!\ (?:by|for|in|with)\b)
    | \A.{{0,250}}\bsummary\ for\ continuing\ (?:this|our|the)\ (?:conversation|chat)\b
    | \A.{{0,80}}\bsummari[sz](?:es|ing)\ (?:\w+\ )?(?:conversations|chat\ history)\b
    | \A.{{0,60}}\bsummari[sz]e\b.{{0,80}}\bprompt\ for\ future\ context\b
    | \A.{{0,300}}\bstandalone\ (?:question|query|queries)\b
    | \A.{{0,300}}\bgenerate\s+\S{{1,12}}\s+different\s+versions\s+of\s+the\s+given\s+(?:user\s+)?
        (?:question|query)\b
    | \bpredict\ the\ \w+\ most\ likely\ questions\ that\ human\ would\ ask\b
    | \A.{{0,60}}\bdecompose\ the\ user's\ input\b
    | \ABased\ on\ the\ chat\ history,\ give\ this\ conversation\ a\ name
    | \A[^：。]{{0,40}}(?:总结|概括|生成|起)[^：。，]{{0,30}}{_CHAT}[^：。，]{{0,20}}
        (?:，[并请]?(?:将其|为其|用|以|给|生成|起|取|返回|输出)[^：。，]{{0,40}})?{_TITLE}
    | \A[^：。]{{0,40}}{_CHAT}[^：。，]{{0,20}}(?:总结|概括|生成|起)[^：。，]{{0,20}}{_TITLE}
    | \A[^：]{{0,40}}(?:总结|概括)(?:以下|上述|上面的){_CHAT}
        (?:记录|历史|内容|片段)?(?![^\W的中里并])
    | \A.{{0,20}}返回这句话的简要主题
    | \A.{{0,100}}引导我继续提问
    ){_STATED}
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
"""How such tasks begin: Open WebUI's, LobeChat's, those of LibreChat and others, NextChat's, Cherry
Studio's, chat-ui's, Chatbox's, aichat's, Dify's, Page Assist's, those by which agents shorten a
conversation, of LangChain's and LlamaIndex's chains, and in Chinese."""


class Answering:
    """What answers the client of one request, whichever API it speaks.

    Raises:
        ApiError: 503, the language model is not loaded yet, or can't be.
    """

    def __init__(self, raw_request: Request, registry: Registry, queues: ServerQueues) -> None:
        self._raw_request = raw_request
        self._registry = registry
        self._queues = queues
        self.llm = registry.llm()
        self.llm_id = registry.llm_id

    async def named(self, request: Requested) -> Requested:
        """Return a request with the id of the model that it asks for.

        Raises:
            ApiError: 404, there is no such model.
        """
        model = asked_model(self._raw_request, request.model)
        if model and model.startswith(RAG):
            # As proxies have it that write models' ids into headers.
            model = unquote(model).removesuffix(LATEST)
        elif model and model not in ("default", self.llm_id):
            model = await asyncio.to_thread(self._registry.model_id, model)
        return request.model_copy(update={"model": model})

    def index_of(self, request: ChatRequest) -> str | None:
        """Return the index that a chat asks, None where the language model itself answers it."""
        model = request.model or ""
        index = model.removeprefix(RAG)
        task = self._registry.shows(index) and is_client_task(request.messages)
        return index if model.startswith(RAG) and not task else None

    async def generation(self, request: ChatRequest | CompletionRequest) -> GeneratedText:
        """Return what answers: an index where the model is ``rag:INDEX``, or the language model.

        Raises:
            ApiError: 404, there is no such model; 400, it can't do what is asked for.
        """
        self._log_prompt(request)
        request = await self.named(request)
        settings = self._registry.settings
        if isinstance(request, CompletionRequest):
            return TextGeneration(request, self._llm_id(request), self.llm, settings)
        if (index := self.index_of(request)) is None:
            return ChatGeneration(request, self._llm_id(request), self.llm, settings)
        engine = await asyncio.to_thread(self._registry.engine, index)
        if request.documents:
            meant = await asyncio.to_thread(self._registry.sources, index, request.documents)
            request = request.model_copy(update={"within": "\0".join(meant)})
        prefix = self._raw_request.headers.get("x-forwarded-prefix", "").lstrip("/")
        address = index_address(f"{self._raw_request.base_url}{quote(prefix, safe='/%')}", index)
        records: JobRecords = self._raw_request.app.state.job_records
        notes = records.notes(index) if records.folder.exists() else ()
        return DocumentChat(engine, request, f"{RAG}{index}", address=address, notes=notes)

    async def answer(
        self, generation: GeneratedText, *, stream: bool, form: ServerSentEvents | None = None
    ) -> Any:
        """Return the response; see `generated_stream` and `Queues.whole`."""
        if stream:
            return generated_stream(self._queues, generation, form)
        return await self._queues.whole(self._raw_request, generation)

    async def relay(self, llm: CompatibleChat, request: ChatRequest | CompletionRequest) -> Relay:
        """Return the response of the server that holds the language model, as it comes.

        Raises:
            ApiError: as `generation`.
        """
        self._log_prompt(request)
        self._llm_id(await self.named(request))
        settings = self._registry.settings
        options_of(request, settings, llm)  # keeps to the limits
        body: dict[str, Any] = await self._raw_request.json()
        path = "completions"
        if isinstance(request, ChatRequest):
            path = "chat/completions"
            use_content(body["messages"])
        for name in _LIMITS & body.keys():
            body[name] = body[name] and request.max_tokens
        if request.max_tokens is None:
            body["max_tokens"] = settings.max_new_tokens
        place = await self._queues.enter(self._raw_request, stream=request.stream)
        return Relay(llm, path, body, place, self._queues.seconds)

    def _llm_id(self, request: ChatRequest | CompletionRequest) -> str:
        """Return the id that a response of the language model itself has."""
        registry = self._registry
        model = request.model or registry.llm_id
        if model in (registry.llm_id, "default"):
            return model
        if model.startswith(RAG) and isinstance(request, ChatRequest):  # a task of the client's
            return registry.llm_id
        use = "/v1/embeddings"
        if model.startswith(RAG):
            use = "/v1/chat/completions"
        elif model != registry.settings.embedding:
            use = "/v1/rerank"
        raise ApiError(400, f"{model} is for POST {use} only", param="model")

    def _log_prompt(self, request: ChatRequest | CompletionRequest) -> None:
        if self._registry.settings.log_prompts:
            prompts = (
                request.prompts
                if isinstance(request, CompletionRequest)
                else [request.messages[-1].text]
            )
            _log.info("prompt", extra={"prompt": "\n".join(prompts)})


def is_client_task(messages: Sequence[Message]) -> bool:
    r"""Return whether what is asked was written by a client, not by the person whose chat it is.

    Documents hold no answer to that, whatever model the conversation is with. A client says it in
    the last message or in one of the system's; an order of the system after an answer is one too.

    Example:
        >>> title = Message(role="user", content="### Task:\nA title.\n### Chat History:\n…")
        >>> is_client_task([title])
        True
        >>> is_client_task([Message(role="user", content="合同的标题是什么？")])
        False
    """
    *earlier, last = messages
    said = [message for message in earlier if message.role not in _SYSTEM]
    if last.role in _SYSTEM and said and said[-1].role == "assistant":
        return True
    orders = [message for message in earlier if message.role in _SYSTEM]
    return any(_TASKS.search(message.text) for message in (*orders, last))


Answers = Annotated[Answering, Depends()]
"""What answers, as a parameter of a route."""


@router.post(
    "/chat/completions",
    response_model=None,
    responses={
        **errors(400, 404, 409, 413, 503, 504),
        **streamed("Pieces of the answer", CHAT_CHUNK, ChatCompletion),
    },
)
@router.post(f"{DEPLOYMENT}/chat/completions", include_in_schema=False, response_model=None)
async def chat_completions(request: ChatRequest, answers: Answers) -> Any:
    """Answer a chat: by the language model, or from documents where the model is `rag:INDEX`."""
    request = await answers.named(request)
    if answers.index_of(request) is None and isinstance(answers.llm, CompatibleChat):
        return await answers.relay(answers.llm, request)
    return await answers.answer(await answers.generation(request), stream=request.stream)


@router.post(
    "/completions",
    response_model=None,
    responses={
        **errors(400, 404, 413, 503, 504),
        **streamed("Pieces of the text", TEXT_CHUNK, TextCompletion),
    },
)
@router.post(f"{DEPLOYMENT}/completions", include_in_schema=False, response_model=None)
async def completions(request: CompletionRequest, answers: Answers) -> Any:
    """Go on with a text as it is, without a chat template."""
    if isinstance(answers.llm, CompatibleChat):
        return await answers.relay(answers.llm, request)
    return await answers.answer(await answers.generation(request), stream=request.stream)
