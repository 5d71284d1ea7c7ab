"""GGUF files, run in process by llama.cpp (package xllamacpp)."""

import json
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, ClassVar
from urllib.request import Request, urlopen

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import BaseMessage, convert_to_openai_messages
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from pydantic import PrivateAttr

from model_prep.errors import CheckpointError
from model_prep.gguf.header import GgufHeader, read_gguf_header
from model_prep.inference.control_tokens import ControlTokens
from rag_app.errors import ModelError
from rag_app.models.llms.llamacpp_stream import Chunks, arunning, running
from rag_app.settings import Settings

_BATCH = 64
"""Prompt tokens between two chances to cancel: below a second here, and no slower than 512."""

_PROMPTS_MIB = 512
"""Memory for the prompts of earlier calls; llama.cpp's own default is 8 GiB."""

_TOKENIZE_SECONDS = 60.0

_ANY_SEED = -1
"""llama.cpp takes another one each time."""

_NAMES = {"repetition_penalty": "repeat_penalty"}
"""Options that llama.cpp calls something else."""


class LlamaCppChat(BaseChatModel):
    """A chat model over llama.cpp's own server, called in process.

    The prompt of the last call is kept, so one that begins alike is answered sooner. Closing a
    stream early stops the generation at once. As many calls as ``parallel`` says are worked on
    together, a token of each at a time; more wait for their turn.

    Args:
        path: The GGUF file.
        context_length: Tokens of prompt and answer together, for each call.
        parallel: Calls worked on together; memory for the context grows with them.
        threads: By default one for each physical core.
        gpu_layers: Layers held by a GPU, where the package was built for one; -1 is all.

    Raises:
        ModelError: the file is missing, truncated, no GGUF, or llama.cpp can't load it.
    """

    gives_logprobs: ClassVar[bool] = True

    path: Path
    context_length: int = 8192
    parallel: int = 1
    threads: int | None = None
    gpu_layers: int = -1
    max_tokens: int = 400
    temperature: float = 0.0
    top_p: float = 0.9
    top_k: int = 40
    repetition_penalty: float = 1.0
    seed: int | None = None

    _server: Any = PrivateAttr()
    _key: str = PrivateAttr()
    _control_tokens: ControlTokens = PrivateAttr()

    def model_post_init(self, _: Any) -> None:
        """Load the model."""
        header = read_header(self.path)
        self._key = secrets.token_urlsafe(32)
        self._server = _serve(self, self._key)
        self._control_tokens = ControlTokens.of_gguf(header)
        self.profile = {"max_input_tokens": self.context_length}

    @property
    def _llm_type(self) -> str:
        return "llamacpp"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"path": str(self.path), "context_length": self.context_length}

    def get_num_tokens(self, text: str) -> int:
        """Return how many of the model's tokens ``text`` has in a message."""
        return len(self.get_token_ids(self._control_tokens.escape(text)))

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
        request = self._chat_request(messages, stop, kwargs)
        chunks = Chunks(lstrip=True)
        with running(self._server.handle_chat_completions, request) as events:
            for event in events:
                if chunk := chunks.of(event):
                    if run_manager:
                        run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        request = self._chat_request(messages, stop, kwargs)
        chunks = Chunks(lstrip=True)
        async with arunning(self._server.handle_chat_completions, request) as events:
            async for event in events:
                if chunk := chunks.of(event):
                    if run_manager:
                        await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                    yield chunk

    async def acomplete(
        self, prompt: str, stop: list[str] | None = None, **options: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        """Yield how ``prompt`` goes on, as it stands: without a chat template.

        Args:
            prompt: Plain text; a start token is added where the model has one.
            stop: Strings before which the text ends.
            **options: Sampling, as a chat takes it.
        """
        request = {"prompt": prompt, **self._request(stop, options)}
        chunks = Chunks(lstrip=False)
        async with arunning(self._server.handle_completions, request) as events:
            async for event in events:
                if chunk := chunks.of(event):
                    yield chunk

    def _chat_request(
        self, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Any]
    ) -> dict[str, Any]:
        escaped = self._control_tokens.escape_messages(convert_to_openai_messages(messages))
        return {"messages": escaped, **self._request(stop, options)}

    def _request(self, stop: list[str] | None, options: dict[str, Any]) -> dict[str, Any]:
        request = {
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "top_k": self.top_k,
            "repeat_penalty": self.repetition_penalty,
            "seed": _ANY_SEED if self.seed is None else self.seed,
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_progress": True,  # calls back while the prompt is read: a chance to cancel
            "cache_prompt": True,
        }
        named = {_NAMES.get(name, name): value for name, value in options.items()}
        return {**request, **named, **({"stop": stop} if stop else {})}


def read_header(path: Path) -> GgufHeader:
    """Return the header of a GGUF file; the file is as long as it says.

    Raises:
        ModelError: the file is missing, of another format, or truncated.
    """
    try:
        return read_gguf_header(path)
    except CheckpointError as error:
        raise ModelError(str(error)) from error


def load(path: Path, settings: Settings) -> LlamaCppChat:
    """Return the model of ``path`` with the sampling that ``settings`` ask for."""
    return LlamaCppChat(
        path=path,
        context_length=settings.context_length,
        parallel=settings.parallel,
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
    params.n_ctx = model.context_length * model.parallel
    params.n_parallel = model.parallel
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
