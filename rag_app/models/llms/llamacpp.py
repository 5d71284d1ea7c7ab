"""GGUF files, run in process by llama.cpp (package xllamacpp)."""

import json
import os
import queue
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage, convert_to_openai_messages
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr

from rag_app.errors import ModelError
from rag_app.models.llms.gguf_file import check_gguf
from rag_app.settings import Settings

_BATCH = 64
"""Prompt tokens between two chances to cancel: below a second here, and no slower than 512."""

_PROMPTS_MIB = 512
"""Memory for the prompts of earlier calls; llama.cpp's own default is 8 GiB."""

_TOKENIZE_SECONDS = 60.0


class LlamaCppChat(BaseChatModel):
    """A chat model over llama.cpp's own server, called in process.

    The prompt of the last call is kept, so one that begins alike is answered sooner. Calls from
    several threads wait for each other. Closing a stream early stops the generation at once.

    Args:
        path: The GGUF file.
        context_length: Tokens of prompt and answer together.
        threads: By default one for each physical core.
        gpu_layers: Layers held by a GPU, where the package was built for one; -1 is all.

    Raises:
        ModelError: the file is missing, truncated, no GGUF, or llama.cpp can't load it.
    """

    path: Path
    context_length: int = 8192
    threads: int | None = None
    gpu_layers: int = -1
    max_tokens: int = 400
    temperature: float = 0.0
    top_p: float = 0.9
    top_k: int = 40
    repetition_penalty: float = 1.0
    seed: int = 0

    _server: Any = PrivateAttr()
    _key: str = PrivateAttr()
    _turn: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    def model_post_init(self, _: Any) -> None:
        """Load the model."""
        check_gguf(self.path)
        self._key = secrets.token_urlsafe(32)
        self._server = _serve(self, self._key)
        self.profile = {"max_input_tokens": self.context_length}

    @property
    def _llm_type(self) -> str:
        return "llamacpp"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"path": str(self.path), "context_length": self.context_length}

    def get_num_tokens(self, text: str) -> int:
        """Return how many of the model's tokens ``text`` has."""
        return len(self.get_token_ids(text))

    def get_token_ids(self, text: str) -> list[int]:
        """Return the model's tokens of ``text``, without a start token.

        The package exposes llama.cpp's tokenizer over HTTP only: a loopback port of this process,
        with a key that nobody else has.
        """
        request = Request(  # noqa: S310 - our own loopback address
            f"{self._server.listening_address}/tokenize",
            json.dumps({"content": text, "add_special": False}).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"},
        )
        with urlopen(request, timeout=_TOKENIZE_SECONDS) as response:  # noqa: S310
            tokens: list[int] = json.load(response)["tokens"]
        return tokens

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        request = self._request(messages, stop, kwargs)
        begun = False
        with self._turn, _running(self._server, request) as events:
            for event in events:
                if chunk := _chunk(event, begun=begun):
                    begun = begun or bool(chunk.text)
                    if run_manager:
                        run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    yield chunk

    def _request(
        self, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Any]
    ) -> dict[str, Any]:
        request = {
            "messages": convert_to_openai_messages(messages),
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "repeat_penalty": self.repetition_penalty,
            "seed": self.seed,
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_progress": True,  # calls back while the prompt is read: a chance to cancel
            "cache_prompt": True,
        }
        return {**request, **options, **({"stop": stop} if stop else {})}


def load(path: Path, settings: Settings) -> LlamaCppChat:
    """Return the model of ``path`` with the sampling that ``settings`` ask for."""
    return LlamaCppChat(
        path=path,
        context_length=settings.context_length,
        threads=settings.threads,
        max_tokens=settings.max_new_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        repetition_penalty=settings.repetition_penalty,
        seed=settings.seed,
    )


def physical_cores() -> int:
    """Return the number of physical cores this process may use; hyper-threads don't help here."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    try:
        cores = {
            siblings.read_text(encoding="utf-8")
            for siblings in Path("/sys/devices/system/cpu").glob(
                "cpu[0-9]*/topology/core_cpus_list"
            )
            if usable is None or int(siblings.parent.parent.name[3:]) in usable
        }
    except (OSError, ValueError):
        cores = set()
    return len(cores) or len(usable or ()) or os.cpu_count() or 1


def _serve(model: LlamaCppChat, key: str) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(model.path)
    params.n_ctx = model.context_length
    params.n_parallel = 1
    params.n_batch = params.n_ubatch = _BATCH
    params.n_gpu_layers = model.gpu_layers
    params.cpuparams.n_threads = model.threads or physical_cores()
    params.cpuparams_batch.n_threads = model.threads or physical_cores()
    params.cache_ram_mib = _PROMPTS_MIB
    params.warmup = False  # the first question warms it up all the same
    params.verbosity = -1
    params.api_keys = [key]
    try:
        return xllamacpp.Server(params)
    except (RuntimeError, ValueError, MemoryError) as error:
        msg = (
            f"llama.cpp can't load {model.path} ({error}): the file is damaged, of a kind it does "
            "not know, or there is too little memory; try a smaller RAG_APP_CONTEXT_LENGTH"
        )
        raise ModelError(msg) from error


_END = object()


@contextmanager
def _running(server: Any, request: dict[str, Any]) -> Iterator[Iterator[dict[str, Any]]]:
    """Give the events of a request as they come; leaving the block cancels what is not done."""
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    cancelled = threading.Event()

    def receive(event: dict[str, Any]) -> bool:
        events.put(event)
        return cancelled.is_set()  # True makes the server stop

    def run() -> None:
        try:
            server.handle_chat_completions(request, receive)
        except BaseException as error:  # raised where the events are read
            events.put(error)
        events.put(_END)

    def received() -> Iterator[dict[str, Any]]:
        while (event := events.get()) is not _END:
            if isinstance(event, BaseException):
                msg = f"llama.cpp failed ({event})"
                raise ModelError(msg) from event
            yield event

    worker = threading.Thread(target=run, name="llama.cpp")
    worker.start()
    try:
        yield received()
    finally:
        cancelled.set()
        worker.join()


def _chunk(event: dict[str, Any], *, begun: bool) -> ChatGenerationChunk | None:
    """Return an event of the server as LangChain's chunk; None for one that says nothing.

    Before the text has ``begun``, spaces are dropped: llama.cpp keeps the one that SentencePiece
    puts before every text.
    """
    if error := event.get("error"):
        raise ModelError(_said(error))
    choices = event.get("choices") or []
    message = AIMessageChunk(content="")
    info: dict[str, Any] = {}
    if choices:
        content = choices[0].get("delta", {}).get("content") or ""
        message.content = content if begun else content.lstrip(" ")
        if reason := choices[0].get("finish_reason"):
            info["finish_reason"] = reason
    if usage := event.get("usage"):
        message.usage_metadata = _usage(usage)
    if timings := event.get("timings"):
        info["timings"] = timings
    if not (message.content or info or message.usage_metadata):
        return None
    message.response_metadata = info
    return ChatGenerationChunk(message=message, generation_info=info or None)


def _usage(usage: dict[str, Any]) -> UsageMetadata:
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    return UsageMetadata(
        input_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
        total_tokens=usage["total_tokens"],
        input_token_details=InputTokenDetails(cache_read=cached),
    )


def _said(error: dict[str, Any]) -> str:
    if error.get("type") == "exceed_context_size_error":
        return (
            f"the prompt has {error.get('n_prompt_tokens')} tokens and the model's window "
            f"{error.get('n_ctx')}; raise RAG_APP_CONTEXT_LENGTH or ask about less"
        )
    return f"llama.cpp refused the request ({error.get('message', error)})"
