"""Any OpenAI-compatible server, through langchain-openai."""

import random
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import openai
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI
from pydantic import Field, SecretStr

from model_prep.inference.control_tokens import ControlTokens
from rag_app.errors import ModelError, PromptTooLongError
from rag_app.models.llms.load_balancer import (
    AsyncFailoverClient,
    FailoverClient,
    LoadBalancer,
    NoServerError,
    check_proxies,
)
from rag_app.models.llms.thoughts import REASONING, begins_thinking
from rag_app.settings import Settings

NO_KEY = "none"
"""Sent where there is no key: the client needs one, and would take one from the environment."""
_OWN = ("top_k", "repetition_penalty")
"""Not in OpenAI's own API, but vLLM and llama-server know them."""
_ANY_LOOP = {"Connection": "close"}
"""Connections are kept in a pool of all models, and one of an event loop that has ended fails."""
_CONTROL_TOKENS = ControlTokens.well_known()


def estimated_tokens(text: str) -> int:
    """Return how many tokens ``text`` has, where the tokenizer is not known; rarely too few.

    A Han character takes about 0.6 tokens with today's models and up to 2 with older ones, a Latin
    word 1.3; one token for a Han character and one for three other bytes lies above both.

    Example:
        >>> estimated_tokens("李白"), estimated_tokens("Li Bai")
        (2, 2)
    """
    wide = sum(ord(char) > 0x2E7F for char in text)
    return wide + (len(text.encode("utf-8", "replace")) - 3 * wide + 2) // 3


class CompatibleChat(ChatOpenAI):
    """`ChatOpenAI` for servers other than OpenAI's: errors are one line, tokens are estimated.

    Such servers read control tokens in a message as their template's own; they are escaped here.

    Example:
        >>> llm = CompatibleChat(base_url="http://127.0.0.1:8000/v1", api_key="none", model="qwen")
        >>> llm.get_num_tokens("李白病逝于当涂")
        7
    """

    guards_itself: ClassVar[bool] = True
    gives_logprobs: ClassVar[bool] = True
    follows_schemas: ClassVar[bool] = True

    top_k: int | None = None
    repetition_penalty: float | None = None
    load_balancer: LoadBalancer | None = Field(default=None, exclude=True)
    """Chooses among several servers, if there are several."""
    opens_thoughts: bool = False
    """Whether replies begin with reasoning that no tag opens: supposed by the name, or seen."""

    @property
    def servers(self) -> LoadBalancer:
        """The servers of the model: one, or several."""
        return self.load_balancer or LoadBalancer([str(self.openai_api_base)])

    @property
    def _default_params(self) -> dict[str, Any]:
        given = {name: value for name in _OWN if (value := getattr(self, name)) is not None}
        return {**super()._default_params, "extra_body": {**(self.extra_body or {}), **given}}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Return False: LangChain's loader knows its own classes only."""
        return False

    @property
    def key(self) -> str:
        """The key that is sent to the server."""
        secret = self.openai_api_key
        return secret.get_secret_value() if isinstance(secret, SecretStr) else ""

    def _get_request_payload(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        own = {name: kwargs.pop(name) for name in _OWN if name in kwargs}
        payload: dict[str, Any] = super()._get_request_payload(*args, **kwargs)
        if own:
            payload["extra_body"] = {**(payload.get("extra_body") or {}), **own}
        if messages := payload.get("messages"):
            payload["messages"] = _CONTROL_TOKENS.escape_messages(messages)
        return payload

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], *args: Any
    ) -> ChatGenerationChunk | None:
        generation = super()._convert_chunk_to_generation_chunk(chunk, *args)
        choices = chunk.get("choices") or [{}]
        delta = choices[0].get("delta") or {}
        # langchain-openai leaves out what OpenAI's own API hasn't.
        if generation and (thought := delta.get(REASONING) or delta.get("reasoning")):
            generation.message.additional_kwargs[REASONING] = thought
        return generation

    def get_num_tokens(self, text: str) -> int:
        """Return an estimate that is rarely too low: the server's tokenizer is not here."""
        return estimated_tokens(text)

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        with _explained(self.servers, self.key):
            return super()._generate(messages, *args, **kwargs)

    async def _agenerate(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> ChatResult:
        kwargs.setdefault("extra_headers", _ANY_LOOP)
        with _explained(self.servers, self.key):
            return await super()._agenerate(messages, *args, **kwargs)

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        with _explained(self.servers, self.key):
            yield from super()._stream(*args, **kwargs)

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        kwargs.setdefault("extra_headers", _ANY_LOOP)
        with _explained(self.servers, self.key):
            async for chunk in super()._astream(*args, **kwargs):
                yield chunk


@contextmanager
def _explained(servers: LoadBalancer, key: str) -> Iterator[None]:
    try:
        yield
    except openai.OpenAIError as error:
        raise _one_line(servers, key, error) from error


def _one_line(servers: LoadBalancer, key: str, error: openai.OpenAIError) -> ModelError:
    cause: BaseException | None = error
    while cause and not isinstance(cause, NoServerError):
        cause = cause.__cause__
    if cause:
        return ModelError(f"{cause}; check the addresses and that the servers run")
    url = servers.asked(error.request if isinstance(error, openai.APIError) else None)
    if isinstance(error, openai.APIConnectionError):
        return ModelError(f"{url} does not answer; check the address and that the server runs")
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return ModelError(f"{url} refused the key; set RAG_APP_LLM_API_KEY")
    said = without_key(str(error), key)
    if isinstance(error, openai.APIError) and error.code == "context_length_exceeded":
        return PromptTooLongError(f"{url} was asked too much ({said})")
    if isinstance(error, openai.NotFoundError):
        return ModelError(f"{url} has no such model or path ({said}); check --llm-name")
    return ModelError(f"{url} failed ({said})")


def without_key(text: str, key: str) -> str:
    """Return what a server says, which may repeat the key that it was sent."""
    return text if key in ("", NO_KEY) else text.replace(key, "***")


def load(url: str, settings: Settings) -> CompatibleChat:
    """Return the model behind ``url``: ``settings.llm_name``, else the first the server lists.

    Several servers of one model have commas between their URLs; `LoadBalancer` chooses among them.

    Raises:
        ModelError: no server can be reached, or one refuses the key or lists no model; or a proxy
            of the environment can't be used.
    """
    check_proxies()
    urls = url.split(",")
    # Shuffled, so that programs that ask once each do not all ask the same server.
    servers = LoadBalancer(random.sample(urls, len(urls)))
    key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else NO_KEY
    model = settings.llm_name or _first_model(servers, key)
    clients: dict[str, Any] = {}
    if len(servers.urls) > 1:
        clients = {
            "load_balancer": servers,
            "http_client": FailoverClient(servers),
            "http_async_client": AsyncFailoverClient(servers),
        }
    chat = CompatibleChat(
        base_url=servers.urls[0],
        api_key=SecretStr(key),
        model=model,
        temperature=settings.temperature,
        top_p=settings.top_p,
        max_completion_tokens=settings.max_new_tokens,
        seed=settings.seed,
        stream_usage=True,
        top_k=settings.top_k,
        repetition_penalty=settings.repetition_penalty,
        opens_thoughts=begins_thinking(model),
        **clients,
    )
    chat.profile = {"max_input_tokens": settings.context_length}
    return chat


def _first_model(servers: LoadBalancer, key: str) -> str:
    with (
        _explained(servers, key),
        openai.OpenAI(
            base_url=servers.urls[0], api_key=key, http_client=FailoverClient(servers)
        ) as client,
    ):
        listed = client.models.list().data
    if not listed:
        raise ModelError(f"{', '.join(servers.urls)} lists no model; name one with --llm-name")
    return listed[0].id
