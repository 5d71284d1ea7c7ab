"""Language models in GGUF files, run by llama.cpp (package xllamacpp)."""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from model_prep.errors import GenerateError
from model_prep.gguf.header import read_model_header
from model_prep.inference.control_tokens import ControlTokens
from model_prep.inference.sampling import Prompt, Sampling
from model_prep.tokenizer.loading import ALPACA_TEMPLATE

_BATCH = 64  # prompt tokens between two chances to be interrupted
_END = object()


def start_server(params: Any) -> Any:
    """Return llama.cpp's server with its model loaded and its loop running.

    A server that is dropped before its loop runs waits forever for its own thread, so that it is
    asked for nothing at once.

    Raises:
        RuntimeError, ValueError, MemoryError: the model can't be loaded.
    """
    import xllamacpp

    server = xllamacpp.Server(params)
    server.handle_completions({"prompt": [0], "n_predict": 0})
    return server


class GgufModel:
    """A model that llama.cpp runs in this process; it answers one prompt after another.

    Args:
        path: The GGUF file.
        context_length: Tokens of prompt and answer together.
        only_cpu: Use no GPU, even where the package was built for one.

    Raises:
        CheckpointError: the file is missing, truncated, not GGUF, or not a language model.
        GenerateError: it is damaged, or too large for the memory.
    """

    def __init__(self, path: Path, context_length: int, *, only_cpu: bool = False) -> None:
        import xllamacpp

        self._context_length = context_length
        header = read_model_header(path)
        template = None if header.chat_template else ALPACA_TEMPLATE
        self._control_tokens = ControlTokens.of_gguf(header, template)
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx = context_length
        params.n_parallel = 1
        params.n_batch = params.n_ubatch = _BATCH
        params.n_gpu_layers = 0 if only_cpu else -1
        params.warmup = False
        params.verbosity = -1
        params.use_jinja = True
        if template:
            params.chat_template = template
        try:
            self._server = start_server(params)
        except (RuntimeError, ValueError, MemoryError) as error:
            raise GenerateError(
                f"llama.cpp can't load {path} ({error}): the file is damaged or cut short, or the "
                "memory is too small; try a smaller --context-length"
            ) from error

    def complete(
        self,
        prompts: Sequence[Prompt],
        sampling: Sampling,
        on_text: Callable[[str], None] | None = None,
    ) -> list[str]:
        """Return what the model says to each prompt; see `TextModel`."""
        return [self._answer(prompt, sampling, on_text) for prompt in prompts]

    def _answer(
        self, prompt: Prompt, sampling: Sampling, on_text: Callable[[str], None] | None
    ) -> str:
        request = {
            "max_tokens": sampling.max_new_tokens,
            "temperature": sampling.temperature,
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
            "min_p": 0.0,
            "repeat_penalty": sampling.repetition_penalty,
            "repeat_last_n": self._context_length,  # all of the text, as transformers does
            "seed": sampling.seed,
            "stream": True,
            "cache_prompt": False,  # an earlier prompt must not change the rounding
        }
        if isinstance(prompt, str):
            events = _events(self._server.handle_completions, {**request, "prompt": prompt})
        else:
            handle = self._server.handle_chat_completions
            messages = self._control_tokens.escape_messages(prompt)
            events = _events(handle, {**request, "messages": messages})
        parts = []
        for event in events:
            if part := _text(event):
                parts.append(part)
                if on_text:
                    on_text(part)
        return "".join(parts).strip()


def _events(handle: Callable[..., Any], request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a request's events; it runs in a thread, so that Ctrl-C reaches this one."""
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    cancelled = threading.Event()

    def receive(event: dict[str, Any]) -> bool:
        events.put(event)
        return cancelled.is_set()  # True makes the server stop

    def run() -> None:
        try:
            handle(request, receive)
        except BaseException as error:  # raised where the events are read
            events.put(error)
        events.put(_END)

    worker = threading.Thread(target=run, name="llama.cpp")
    worker.start()
    try:
        while (event := events.get()) is not _END:
            if isinstance(event, BaseException):
                raise GenerateError(f"llama.cpp failed ({event})") from event
            yield event
    finally:
        cancelled.set()
        worker.join()


def _text(event: dict[str, Any]) -> str:
    if error := event.get("error"):
        if error.get("type") == "exceed_context_size_error":
            raise GenerateError(
                f"a prompt has {error.get('n_prompt_tokens')} tokens and the context "
                f"{error.get('n_ctx')}; raise --context-length or shorten it"
            )
        raise GenerateError(f"llama.cpp refused a prompt ({error.get('message', error)})")
    choices = event.get("choices") or [{}]
    text: str = choices[0].get("text") or choices[0].get("delta", {}).get("content") or ""
    return text
