"""GGUF files, run in process by llama.cpp (package xllamacpp)."""

import json
import os
import secrets
import threading
from pathlib import Path
from typing import Any, ClassVar
from urllib.request import Request, urlopen

from langchain_core.messages import AIMessageChunk, BaseMessage, convert_to_openai_messages
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.outputs import ChatGenerationChunk
from pydantic import PrivateAttr

from model_prep.errors import CheckpointError
from model_prep.gguf.header import GgufHeader, read_gguf_header
from model_prep.inference.control_tokens import ControlTokens
from model_prep.inference.llamacpp_model import start_server
from rag_app.errors import ModelError, PromptTooLongError
from rag_app.models.llms.local import END, LocalChat, Put, failure, local_options, unwanted
from rag_app.settings import Settings

_BATCH = 64
"""Prompt tokens between two chances to cancel: below a second here, and no slower than 512."""
_CACHED_PROMPTS_MIB = 512
"""Memory for the prompts of earlier calls; llama.cpp's own default is 8 GiB."""
_TOKENIZE_SECONDS = 60.0
_ANY_SEED = -1
"""llama.cpp takes another one each time."""

Event = dict[str, Any]
"""Of the event stream of llama.cpp's server."""


class LlamaCppChat(LocalChat):
    """A chat model over llama.cpp's own server, called in process.

    The prompt of the last call is kept, so one that begins alike is answered sooner.

    Args:
        path: The GGUF file.
        threads: By default one for each physical core.
        gpu_layers: Layers held by a GPU, where the package was built for one; -1 is all.

    Raises:
        ModelError: the file is missing, truncated, no GGUF, or llama.cpp can't load it.
    """

    gives_logprobs: ClassVar[bool] = True

    path: Path
    threads: int | None = None
    gpu_layers: int = -1

    _server: Any = PrivateAttr()
    _key: str = PrivateAttr()
    _control_tokens: ControlTokens = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        """Load the model."""
        super().model_post_init(context)
        header = read_header(self.path)
        self._key = secrets.token_urlsafe(32)
        self._server = _serve(self, self._key)
        self._control_tokens = ControlTokens.of_gguf(header)

    @property
    def _llm_type(self) -> str:
        return "llamacpp"

    @property
    def model_name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

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

    def _start(
        self,
        prompt: str | list[BaseMessage],
        stop: list[str],
        options: dict[str, Any],
        put: Put,
        cancelled: threading.Event,
    ) -> None:
        request = _request(stop, options)
        if isinstance(prompt, str):
            handle, request["prompt"] = self._server.handle_completions, prompt
        else:
            messages = self._control_tokens.escape_messages(convert_to_openai_messages(prompt))
            handle, request["messages"] = self._server.handle_chat_completions, messages
        chunks = Chunks(self.model_name, lstrip=not isinstance(prompt, str))

        def receive(events: Any) -> bool:
            for event in events if isinstance(events, list) else [events]:
                if (chunk := chunks.of(event)) is not None:
                    put(chunk)
            return unwanted(cancelled)  # True makes the server stop

        def run() -> None:
            try:
                handle(request, receive)
            except BaseException as error:  # raised where the chunks are read
                put(failure(f"llama.cpp failed ({error})", error))
            put(END)

        threading.Thread(target=run, name="llama.cpp").start()


def _request(stop: list[str], options: dict[str, Any]) -> dict[str, Any]:
    sampling = {name: value for name, value in options.items() if name != "repetition_penalty"}
    return {
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,  # calls back while the prompt is read: a chance to cancel
        "cache_prompt": True,
        "repeat_penalty": options["repetition_penalty"],
        **sampling,
        "seed": _ANY_SEED if options["seed"] is None else options["seed"],
        **({"stop": stop} if stop else {}),
    }


class Chunks:
    """Turns the events of one request into chunks.

    Args:
        model_name: Written beside the usage.
        lstrip: Drop the spaces before the text: in a chat llama.cpp keeps the one that
            SentencePiece puts before every text.

    Example:
        >>> chunks = Chunks("tiny", lstrip=True)
        >>> chunks.of({"choices": [{"delta": {"content": " Hello"}}]}).text
        'Hello'
    """

    def __init__(self, model_name: str, *, lstrip: bool) -> None:
        self._model_name = model_name
        self._lstrip = lstrip

    def of(self, event: Event) -> ChatGenerationChunk | ModelError | None:
        """Return the chunk of an event, the error that it is, or None where it says nothing."""
        if error := event.get("error"):
            return _refusal(error)
        message = AIMessageChunk(content="")
        info: dict[str, Any] = {}
        if choices := event.get("choices"):
            message.content = self._text(choices[0])
            for name in ("finish_reason", "logprobs"):
                if value := choices[0].get(name):
                    info[name] = value
        if usage := event.get("usage"):
            message.usage_metadata = _usage(usage)
            info["model_name"] = self._model_name
        if timings := event.get("timings"):
            info["timings"] = timings
        if not (message.content or info):
            return None
        message.response_metadata = info
        return ChatGenerationChunk(message=message, generation_info=info or None)

    def _text(self, choice: Event) -> str:
        text = choice.get("text") or choice.get("delta", {}).get("content") or ""
        if self._lstrip:
            text = text.lstrip(" ")
            self._lstrip = not text
        return str(text)


def _usage(usage: Event) -> UsageMetadata:
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
    return UsageMetadata(
        input_tokens=usage["prompt_tokens"],
        output_tokens=usage["completion_tokens"],
        total_tokens=usage["total_tokens"],
        input_token_details=InputTokenDetails(cache_read=cached),
    )


def _refusal(error: Event) -> ModelError:
    if error.get("type") == "exceed_context_size_error":
        return PromptTooLongError(
            f"the prompt has {error.get('n_prompt_tokens')} tokens and the model's window "
            f"{error.get('n_ctx')}; raise RAG_APP_CONTEXT_LENGTH or ask about less"
        )
    return ModelError(f"llama.cpp refused the request ({error.get('message', error)})")


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
    return LlamaCppChat(path=path, threads=settings.threads, **local_options(settings))


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
    threads = model.threads or physical_cores()
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = _CACHED_PROMPTS_MIB
    params.warmup = False  # the first question warms it up all the same
    params.verbosity = -1
    params.api_keys = [key]
    try:
        return start_server(params)
    except (RuntimeError, ValueError, MemoryError) as error:
        msg = (
            f"llama.cpp can't load {model.path} ({error}): the file is damaged, of a kind it does "
            "not know, or there is too little memory; try a smaller RAG_APP_CONTEXT_LENGTH"
        )
        raise ModelError(msg) from error
