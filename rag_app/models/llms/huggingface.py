"""Hugging Face folders and hub names: LangChain's `HuggingFacePipeline` as a chat model.

`HuggingFacePipeline` takes plain prompts, drops generation options that are given when it is made,
stops on single tokens only and can't be cancelled; so the prompt is rendered with the model's chat
template here, and the generation runs in a thread that watches for stop strings and cancellation.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage, convert_to_openai_messages
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_huggingface import HuggingFacePipeline
from pydantic import PrivateAttr

from rag_app.errors import ModelError
from rag_app.settings import Settings

if TYPE_CHECKING:
    import torch

_WAIT_SECONDS = 3600.0
"""Longest wait for a token; a slow CPU reads a long prompt for minutes."""


class HuggingFaceChat(BaseChatModel):
    """A chat model around a ``text-generation`` pipeline; calls wait for each other.

    An answer never holds the prompt, ends at the model's end token or a stop string, and has at
    most ``max_tokens`` tokens, the prompt not counted.
    """

    llm: HuggingFacePipeline
    context_length: int
    max_tokens: int = 400
    temperature: float = 0.0
    top_p: float = 0.9
    top_k: int = 40
    repetition_penalty: float = 1.0
    seed: int = 0

    _turn: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    def model_post_init(self, _: Any) -> None:
        """Say how long the context is."""
        self.profile = {"max_input_tokens": self.context_length}

    @property
    def _llm_type(self) -> str:
        return "huggingface"

    @property
    def tokenizer(self) -> Any:
        """The pipeline's tokenizer."""
        return self.llm.pipeline.tokenizer

    def get_num_tokens(self, text: str) -> int:
        """Return how many of the model's tokens ``text`` has."""
        return len(self.get_token_ids(text))

    def get_token_ids(self, text: str) -> list[int]:
        """Return the model's tokens of ``text``, without a start token."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def render(self, messages: list[BaseMessage]) -> str:
        """Return the prompt: by the model's chat template, or as plain text where it has none."""
        if getattr(self.tokenizer, "chat_template", None):
            text: str = self.tokenizer.apply_chat_template(
                convert_to_openai_messages(messages), tokenize=False, add_generation_prompt=True
            )
            return text
        begin = self.tokenizer.bos_token or ""
        return begin + "\n\n".join(message.text for message in messages) + "\n\n"

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
        prompt = self.render(messages)
        used = self.get_num_tokens(prompt)
        if used >= self.context_length:
            msg = f"the prompt has {used} tokens and the model's window {self.context_length}"
            raise ModelError(msg)
        options = self._options(used, kwargs)
        text = ""
        with self._turn, _generating(self.llm.pipeline, prompt, options) as parts:
            for part in _until(parts, stop or []):
                chunk = ChatGenerationChunk(message=AIMessageChunk(content=part))
                if run_manager:
                    run_manager.on_llm_new_token(part, chunk=chunk)
                yield chunk
                text += part
        yield self._last_chunk(used, self.get_num_tokens(text), options["max_new_tokens"])

    def _options(self, used: int, given: dict[str, Any]) -> dict[str, Any]:
        """Return the generation options; ``given`` are LangChain's, for one call."""
        temperature = given.get("temperature", self.temperature)
        wanted = given.get("max_tokens", self.max_tokens)
        options: dict[str, Any] = {
            "return_full_text": False,
            "add_special_tokens": False,  # the chat template has put them in
            "max_new_tokens": min(wanted, self.context_length - used),
            "repetition_penalty": self.repetition_penalty,
            "do_sample": temperature > 0,
        }
        if temperature > 0:
            sampling = {"temperature": temperature, "top_p": self.top_p, "top_k": self.top_k}
            return {**options, **sampling, **{k: v for k, v in given.items() if k in sampling}}
        return options

    def _last_chunk(self, used: int, generated: int, limit: int) -> ChatGenerationChunk:
        info = {"finish_reason": "length" if generated >= limit else "stop"}
        usage = UsageMetadata(
            input_tokens=used, output_tokens=generated, total_tokens=used + generated
        )
        message = AIMessageChunk(content="", usage_metadata=usage, response_metadata=info)
        return ChatGenerationChunk(message=message, generation_info=info)


def load(spec: str, settings: Settings) -> HuggingFaceChat:
    """Return the model of a local folder, or of a repository in the local hub cache.

    Raises:
        ModelError: it is missing, damaged, too large for the memory, or ``settings`` ask for
            quantization or GPUs that this machine hasn't.
    """
    import torch
    from transformers import AutoModelForCausalLM, pipeline
    from transformers.utils import logging

    from model_prep.errors import ModelPrepError
    from model_prep.tokenization import load_tokenizer

    options = model_options(settings)
    logging.disable_progress_bar()
    if settings.seed:
        torch.manual_seed(settings.seed)
    try:
        tokenizer = load_tokenizer(spec)
        model = AutoModelForCausalLM.from_pretrained(spec, local_files_only=True, **options)
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, ModelPrepError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        what = "is no model that can be loaded" if Path(spec).is_dir() else "is not here"
        msg = f"{spec} {what} ({reason}); give a folder with config, weights and tokenizer"
        raise ModelError(msg) from error
    _without_length_limit(model)
    window = getattr(model.config, "max_position_embeddings", None) or settings.context_length
    return HuggingFaceChat(
        llm=HuggingFacePipeline(
            pipeline=pipeline("text-generation", model=model, tokenizer=tokenizer), model_id=spec
        ),
        context_length=min(window, settings.context_length),
        max_tokens=settings.max_new_tokens,
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        repetition_penalty=settings.repetition_penalty,
        seed=settings.seed,
    )


def model_options(settings: Settings) -> dict[str, Any]:
    """Return the arguments of ``from_pretrained`` for this machine.

    Raises:
        ModelError: ``settings`` ask for GPUs or quantization that this machine hasn't.
    """
    from model_prep.errors import GenerateError
    from model_prep.placement import placement

    try:
        return placement(
            gpus=settings.gpus,
            load_in_8bit=settings.quantize == "8bit",
            load_in_4bit=settings.quantize == "4bit",
        )
    except GenerateError as error:
        raise ModelError(str(error)) from error


def _without_length_limit(model: Any) -> None:
    """Drop a ``max_length`` of the folder: it would count the prompt, and cut answers off."""
    model.generation_config.max_length = None
    if not model.generation_config.do_sample:
        for name in ("temperature", "top_p", "top_k"):
            setattr(model.generation_config, name, None)


@contextmanager
def _generating(pipe: Any, prompt: str, options: dict[str, Any]) -> Iterator[Iterator[str]]:
    """Give the text as it is generated; leaving the block cancels what is not done."""
    from transformers import StoppingCriteria, StoppingCriteriaList

    from model_prep.streaming import TextStream

    cancelled = threading.Event()
    failures: list[BaseException] = []

    class Cancelled(StoppingCriteria):
        def __call__(self, input_ids: "torch.Tensor", *_: Any, **__: Any) -> "torch.Tensor":
            import torch

            state = [cancelled.is_set()] * len(input_ids)
            return torch.tensor(state, device=input_ids.device)

    streamer = TextStream(
        pipe.tokenizer, skip_prompt=True, skip_special_tokens=True, timeout=_WAIT_SECONDS
    )

    def run() -> None:
        try:
            criteria = StoppingCriteriaList([Cancelled()])
            pipe(prompt, streamer=streamer, stopping_criteria=criteria, **options)
        except BaseException as error:  # raised where the text is read
            failures.append(error)
            streamer.end()

    def parts() -> Iterator[str]:
        yield from streamer
        if failures:
            msg = f"generation failed ({failures[0]}); a smaller model or shorter input may do"
            raise ModelError(msg) from failures[0]

    worker = threading.Thread(target=run, name="generate")
    worker.start()
    try:
        yield parts()
    finally:
        cancelled.set()
        worker.join()


def _until(parts: Iterator[str], stop: list[str]) -> Iterator[str]:
    """Yield text up to the first stop string; what may be the beginning of one is held back."""
    held = ""
    for part in parts:
        held += part
        found = [at for one in stop if (at := held.find(one)) >= 0]
        if found:
            if min(found):
                yield held[: min(found)]
            return
        keep = max((_overlap(held, one) for one in stop), default=0)
        if len(held) > keep:
            yield held[: len(held) - keep]
            held = held[len(held) - keep :]
    if held:
        yield held


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of ``text`` that ``stop`` begins with."""
    lengths = range(min(len(text), len(stop) - 1), 0, -1)
    return next((length for length in lengths if text.endswith(stop[:length])), 0)
