"""GGUF files, run in process by llama.cpp (package xllamacpp)."""

import secrets
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import nullcontext
from functools import partial
from http.client import HTTPException
from operator import itemgetter
from pathlib import Path
from typing import Any, ClassVar

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessageChunk, BaseMessage, convert_to_openai_messages
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.runnables import Runnable, RunnableParallel, RunnablePassthrough
from pydantic import Field, PrivateAttr

from model_prep.errors import CheckpointError
from model_prep.gguf.header import GgufHeader, read_model_header
from model_prep.inference.control_tokens import ControlTokens
from rag_app.errors import ModelError, PromptTooLongError, SchemaError
from rag_app.models.llms.llamacpp_server import LlamaServer, ServerOptions, ServerProcess, post
from rag_app.models.llms.local import LocalChat, failure, local_options, unwanted
from rag_app.models.llms.prompt_cache import GIGABYTE, PromptCache, slots_folder
from rag_app.models.llms.thoughts import REASONING
from rag_app.models.llms.tools import END, Put
from rag_app.settings import Settings
from rag_app.surroundings import free_cores

_TOKENIZE_SECONDS = 60.0
_WANTED = 8
_ANY_SEED = -1  # llama.cpp takes another one each time

_UNREAD = "output that does not match the expected"
"""What llama.cpp says where its parser of chats can't read a complete text."""

Event = dict[str, Any]
"""An event of the stream of llama.cpp's server."""


class LlamaCppChat(LocalChat):
    """A chat model over llama.cpp's own server, called in process.

    The prompt of the last call is kept, so one that begins alike is answered sooner.

    Args:
        path: The GGUF file.
        threads: By default one for each physical core that nobody else keeps busy.
        gpu_layers: Layers held by a GPU, where the package was built for one; -1 is all.
        cache_size: Gigabytes of prompts kept on disk, where `keeps_prompts` says so; 0: none.
        keeps_prompts: Whether the prompts of this object's chats are kept: those with passages,
            which are asked again.
        process: Where the model is loaded already, or is being loaded; see `ServerProcess`.

    Raises:
        ModelError: the file is missing, truncated, no GGUF, or llama.cpp can't load it.
    """

    gives_logprobs: ClassVar[bool] = True
    follows_schemas: ClassVar[bool] = True

    path: Path
    threads: int | None = None
    gpu_layers: int = -1
    cache_size: float = 0.0
    keeps_prompts: bool = False
    process: ServerProcess | None = Field(default=None, exclude=True, repr=False)

    _server: LlamaServer = PrivateAttr()
    _options: ServerOptions = PrivateAttr()
    _prompts: PromptCache | None = PrivateAttr(default=None)
    _wanted: deque[list[BaseMessage]] = PrivateAttr(default_factory=partial(deque, maxlen=_WANTED))
    _control_tokens: ControlTokens = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        """Load the model."""
        super().model_post_init(context)
        header = read_header(self.path)
        self._server, self._options = _serve(self, header)
        if self._options.slots:
            limit = int(self.cache_size * GIGABYTE)
            folder = Path(self._options.slots)
            self._prompts = PromptCache(folder, limit, self._post, self.parallel)
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

        The package exposes llama.cpp's tokenizer over HTTP only: a loopback port of this process
        or a socket, with a key that nobody else has.
        """
        request = {"content": text, "add_special": False}
        tokens: list[int] = self._post("/tokenize", request)["tokens"]
        return tokens

    def is_kept(self, messages: list[BaseMessage]) -> bool:
        """Return whether a prompt is kept on disk, except for a few words at its end."""
        return self._prompts is not None and self._prompts.holds(_text(self._asked(messages)))

    def with_structured_output(
        self, schema: dict[str, Any] | type, *, include_raw: bool = False, **_: Any
    ) -> Runnable[LanguageModelInput, Any]:
        """Return a Runnable that llama.cpp holds to a schema, and whose replies are parsed.

        Args:
            schema: A class of Pydantic, a TypedDict, or a JSON schema with a title.
            include_raw: Whether it returns a dict of ``raw``, ``parsed`` and ``parsing_error``,
                the exception that a reply raised which was cut off.
        """
        from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
        from langchain_core.utils.function_calling import convert_to_json_schema
        from langchain_core.utils.pydantic import is_basemodel_subclass

        described = convert_to_json_schema(schema)
        named = {"name": described.get("title", "answer"), "schema": described}
        formed = self.bind(response_format={"type": "json_schema", "json_schema": named})
        parser: Runnable[Any, Any] = JsonOutputParser()
        if isinstance(schema, type) and is_basemodel_subclass(schema):
            pydantic_object: Any = schema
            parser = PydanticOutputParser(pydantic_object=pydantic_object)
        if not include_raw:
            return formed | parser
        parsed = RunnablePassthrough.assign(
            parsed=itemgetter("raw") | parser, parsing_error=lambda _: None
        )
        failed = RunnablePassthrough.assign(parsed=lambda _: None)
        safely = parsed.with_fallbacks([failed], exception_key="parsing_error")
        return RunnableParallel(raw=formed) | safely

    @property
    def wanted(self) -> deque[list[BaseMessage]]:
        """Prompts that are to be read and kept when nobody asks, the latest last."""
        return self._wanted

    def _asked(self, messages: list[BaseMessage]) -> Any:
        """Return messages as llama.cpp is given them, turns where its template takes no others."""
        from model_prep.inference.chat_template import alternating, is_regular

        asked = self._control_tokens.escape_messages(convert_to_openai_messages(messages))
        return asked if is_regular(asked) or self._takes(asked) else alternating(asked)

    def _takes(self, messages: Any) -> bool:
        """Return whether the model's chat template takes messages."""
        try:
            self._post("/apply-template", {"messages": messages})
        except ValueError:
            return False
        except (OSError, HTTPException):
            pass  # the request itself says that llama.cpp is gone
        return True

    def _post(self, path: str, request: dict[str, Any]) -> Any:
        return post(self._server, path, request, key=self._options.key, seconds=_TOKENIZE_SECONDS)

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
            handle, request["messages"] = self._server.handle_chat_completions, self._asked(prompt)
        chunks = Chunks(
            self.model_name,
            lstrip=not isinstance(prompt, str),
            formed=(options.get("response_format") or {}).get("type", "text") != "text",
        )
        cache = self._prompts
        text = _text(request.get("messages", ())) if self.keeps_prompts else ""

        def receive(events: Any) -> bool:
            for event in events if isinstance(events, list) else [events]:
                if (chunk := chunks.of(event)) is not None:
                    put(chunk)
            return unwanted(cancelled)  # True makes the server stop

        def run() -> None:
            try:
                with cache.turn(text) if cache else nullcontext(False) as keeps:
                    if keeps and self.parallel > 1:  # else llama.cpp remembers earlier prompts
                        request["id_slot"] = 0
                    handle(request, receive)
                    if cache and keeps and not unwanted(cancelled):
                        cache.keep(text)
            except BaseException as error:  # raised where the chunks are read
                kind = SchemaError if "JSON schema" in str(error) else ModelError
                put(failure(f"llama.cpp failed ({error})", error, kind))
            put(END)

        threading.Thread(target=run, name="llama.cpp").start()


def _text(messages: Iterable[dict[str, Any]]) -> str:
    """Return what a prompt is known by in the cache."""
    return "\n".join(f"{message['role']}: {message['content']}" for message in messages)


def _request(stop: list[str], options: dict[str, Any]) -> dict[str, Any]:
    sampling = {name: value for name, value in options.items() if name != "repetition_penalty"}
    return {
        "stream": True,
        "stream_options": {"include_usage": True},
        "timings_per_token": True,  # the numbers of tokens so far; see `Chunks`
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
        model_name: Written next to the usage.
        lstrip: Drop the spaces before the text: in a chat llama.cpp keeps the one that
            SentencePiece puts before every text.
        formed: Whether the text was to have a form.

    Example:
        >>> chunks = Chunks("tiny", lstrip=True)
        >>> chunks.of({"choices": [{"delta": {"content": " Hello"}}]}).text
        'Hello'
    """

    def __init__(self, model_name: str, *, lstrip: bool, formed: bool = False) -> None:
        self._model_name = model_name
        self._lstrip = lstrip
        self._formed = formed
        self._timings: Event = {}

    def of(self, event: Event) -> ChatGenerationChunk | ModelError | None:
        """Return the chunk of an event, the error that it is, or None where it says nothing."""
        if error := event.get("error"):
            return self._misread() if _UNREAD in str(error) else _refusal(error)
        message = AIMessageChunk(content="")
        info: dict[str, Any] = {}
        if choices := event.get("choices"):
            message.content = self._text(choices[0])
            if thought := (choices[0].get("delta") or {}).get(REASONING):
                message.additional_kwargs[REASONING] = thought
            for name in ("finish_reason", "logprobs"):
                if value := choices[0].get(name):
                    info[name] = value
        if usage := event.get("usage"):
            message.usage_metadata = _usage(usage)
            info["model_name"] = self._model_name
        self._timings = event.get("timings") or self._timings
        if self._timings and "usage" in event:  # the last one: LangChain would add them up
            info["timings"] = self._timings
        if not (message.content or info or message.additional_kwargs):
            return None
        message.response_metadata = info
        return ChatGenerationChunk(message=message, generation_info=info or None)

    def _misread(self) -> ChatGenerationChunk:
        """Return the end of an answer whose whole text llama.cpp's parser of chats can't read.

        The text is there, piece by piece; what was to have a form and hasn't got it is cut off.
        """
        made = {name: self._timings.get(name, 0) for name in ("cache_n", "prompt_n", "predicted_n")}
        read = made["cache_n"] + made["prompt_n"]
        usage = _usage(
            {
                "prompt_tokens": read,
                "completion_tokens": made["predicted_n"],
                "total_tokens": read + made["predicted_n"],
                "prompt_tokens_details": {"cached_tokens": made["cache_n"]},
            }
        )
        info = {
            "finish_reason": "length" if self._formed else "stop",
            "model_name": self._model_name,
        }
        message = AIMessageChunk(content="", usage_metadata=usage, response_metadata=info)
        return ChatGenerationChunk(message=message, generation_info=info)

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
            f"this model's maximum context length is {error.get('n_ctx')} tokens and the prompt "
            f"has {error.get('n_prompt_tokens')}; raise RAG_APP_CONTEXT_LENGTH or ask about less"
        )
    kind = SchemaError if "JSON schema" in str(error) else ModelError
    return kind(f"llama.cpp refused the request ({error.get('message', error)})")


def read_header(path: Path) -> GgufHeader:
    """Return the header of a GGUF file; the file is as long as it says.

    Raises:
        ModelError: the file is missing, of another format, truncated, or not a language model.
    """
    try:
        return read_model_header(path)
    except CheckpointError as error:
        raise ModelError(str(error)) from error


def load(path: Path, settings: Settings, process: ServerProcess | None = None) -> LlamaCppChat:
    """Return the model of ``path`` with the sampling that ``settings`` ask for.

    Args:
        path: The GGUF file.
        settings: How it is loaded.
        process: Where that was begun.
    """
    options = local_options(settings) | {"cache_size": settings.cache_size}
    return LlamaCppChat(path=path, threads=settings.threads, process=process, **options)


def _serve(model: LlamaCppChat, header: GgufHeader) -> tuple[LlamaServer, ServerOptions]:
    """Return the server of a model and how it was loaded."""
    options = ServerOptions(
        path=str(model.path),
        context_length=model.context_length,
        parallel=model.parallel,
        threads=model.threads or free_cores(),
        gpu_layers=model.gpu_layers,
        key=secrets.token_urlsafe(32),
        slots=slots_folder(model.path, model.cache_size),
    )
    try:
        if model.process is not None:
            model.process.wait_loaded()
            return model.process, model.process.options
        return options.start(), options
    except (RuntimeError, ValueError, MemoryError) as error:
        names = map(header.values.get, ("general.architecture", "tokenizer.ggml.pre"))
        kind = "/".join(str(name) for name in names if name)
        raise ModelError(
            f"llama.cpp can't load {model.path} ({error}): the file is damaged, of a kind it does "
            f"not know ({kind}), or there is too little memory; try a smaller "
            "RAG_APP_CONTEXT_LENGTH"
        ) from error
