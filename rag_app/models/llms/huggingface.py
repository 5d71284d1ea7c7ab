"""Hugging Face folders and hub names: LangChain's `HuggingFacePipeline` as a chat model.

`HuggingFacePipeline` takes plain prompts, drops generation options that are given when it is made,
stops on single tokens only and can't be cancelled; so the prompt is rendered with the model's chat
template here, and the generation runs in a thread (`huggingface_thread`) or, for an event loop, in
batches (`huggingface_batch`), both of which watch for stop strings and cancellation.
"""

import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.messages import AIMessageChunk, BaseMessage, convert_to_openai_messages
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_huggingface import HuggingFacePipeline
from pydantic import PrivateAttr

from model_prep.inference.control_tokens import ControlTokens
from rag_app.errors import ModelError, PromptTooLongError
from rag_app.models.llms.async_queue import Telling
from rag_app.models.llms.huggingface_batch import Batcher, Request
from rag_app.models.llms.huggingface_stream import failed, generating, until
from rag_app.settings import Settings


class HuggingFaceChat(BaseChatModel):
    """A chat model around a ``text-generation`` pipeline.

    Calls from threads wait for each other; those of an event loop are generated together, up to
    ``parallel`` of them.

    An answer never holds the prompt, ends at the model's end token or a stop string, and has at
    most ``max_tokens`` tokens, the prompt not counted.
    """

    llm: HuggingFacePipeline
    context_length: int
    parallel: int = 1
    max_tokens: int = 400
    temperature: float = 0.0
    top_p: float = 0.9
    top_k: int = 40
    repetition_penalty: float = 1.0
    seed: int | None = None

    _turn: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _batcher: Batcher = PrivateAttr()
    _control_tokens: ControlTokens = PrivateAttr()

    def model_post_init(self, _: Any) -> None:
        """Say how long the context is."""
        self.profile = {"max_input_tokens": self.context_length}
        pipe = self.llm.pipeline
        template = getattr(pipe.tokenizer, "chat_template", None)
        self._control_tokens = ControlTokens.of_tokenizer(pipe.tokenizer, template)
        self._batcher = Batcher(pipe.model, pipe.tokenizer, self.parallel, self._turn)

    @property
    def _llm_type(self) -> str:
        return "huggingface"

    @property
    def tokenizer(self) -> Any:
        """The pipeline's tokenizer."""
        return self.llm.pipeline.tokenizer

    def get_num_tokens(self, text: str) -> int:
        """Return how many of the model's tokens ``text`` has in a message."""
        return len(self.get_token_ids(self._control_tokens.escape(text)))

    def get_token_ids(self, text: str) -> list[int]:
        """Return the model's tokens of ``text``, without a start token."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def render(self, messages: list[BaseMessage]) -> str:
        """Return the prompt: by the model's chat template, or as plain text where it has none.

        Control tokens in the messages are escaped: those of the prompt are the template's.
        """
        escaped = self._control_tokens.escape_messages(convert_to_openai_messages(messages))
        if getattr(self.tokenizer, "chat_template", None):
            text: str = self.tokenizer.apply_chat_template(
                escaped, tokenize=False, add_generation_prompt=True
            )
            return text
        begin = self.tokenizer.bos_token or ""
        texts = [self._control_tokens.escape(message.text) for message in messages]
        return begin + "\n\n".join(texts) + "\n\n"

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
        used = len(self.get_token_ids(prompt))
        self._check_window(used)
        options = self._options(used, kwargs)
        text = ""
        with self._turn, generating(self.llm.pipeline, prompt, options) as parts:
            for part in until(parts, stop or []):
                chunk = ChatGenerationChunk(message=AIMessageChunk(content=part))
                if run_manager:
                    run_manager.on_llm_new_token(part, chunk=chunk)
                yield chunk
                text += part
        generated = len(self.get_token_ids(text))
        limit = options["max_new_tokens"]
        yield self._end_chunk(used, generated, "length" if generated >= limit else "stop")

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        async for chunk in self._batched(self.render(messages), stop, kwargs):
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
        begin = self.tokenizer.bos_token or ""
        async for chunk in self._batched(begin + prompt, stop, options):
            yield chunk

    async def _batched(
        self, prompt: str, stop: list[str] | None, given: dict[str, Any]
    ) -> AsyncIterator[ChatGenerationChunk]:
        ids = self.get_token_ids(prompt)
        self._check_window(len(ids))
        options = self._options(len(ids), given)
        limit = options.pop("max_new_tokens")
        for name in ("return_full_text", "add_special_tokens"):  # the pipeline's own
            options.pop(name)
        given = {"seed": self.seed, **given}
        for name in ("seed", "presence_penalty", "frequency_penalty"):
            if given.get(name) is not None:
                options[name] = given[name]
        cancelled = threading.Event()
        told = Telling(cancelled)
        request = Request(ids, options, limit, stop or [], told.put, cancelled)
        self._batcher.submit(request)
        try:
            async for part in told.received():
                if isinstance(part, BaseException):
                    raise failed(part) from part
                yield ChatGenerationChunk(message=AIMessageChunk(content=part))
        finally:
            cancelled.set()
        yield self._end_chunk(len(ids), request.generated, request.finish_reason)

    def _check_window(self, used: int) -> None:
        if used >= self.context_length:
            msg = f"the prompt has {used} tokens and the model's window {self.context_length}"
            raise PromptTooLongError(msg)

    def _options(self, used: int, given: dict[str, Any]) -> dict[str, Any]:
        """Return the generation options; ``given`` are LangChain's, for one call."""
        temperature = given.get("temperature", self.temperature)
        wanted = given.get("max_tokens", self.max_tokens)
        options: dict[str, Any] = {
            "return_full_text": False,
            "add_special_tokens": False,  # the chat template has put them in
            "max_new_tokens": min(wanted, self.context_length - used),
            "repetition_penalty": given.get("repetition_penalty", self.repetition_penalty),
            "do_sample": temperature > 0,
        }
        if temperature > 0:
            sampling = {"temperature": temperature, "top_p": self.top_p, "top_k": self.top_k}
            return {**options, **sampling, **{k: v for k, v in given.items() if k in sampling}}
        return options

    @staticmethod
    def _end_chunk(used: int, generated: int, finish_reason: str) -> ChatGenerationChunk:
        info = {"finish_reason": finish_reason}
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

    from model_prep.errors import ModelPrepError, first_line
    from model_prep.tokenizer.loading import load_tokenizer

    options = model_options(settings)
    logging.disable_progress_bar()
    if settings.seed is not None:
        torch.manual_seed(settings.seed)
    try:
        tokenizer = load_tokenizer(spec)
        model = AutoModelForCausalLM.from_pretrained(spec, local_files_only=True, **options)
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, ModelPrepError) as error:
        reason = first_line(error)
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
        parallel=settings.parallel,
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
    from model_prep.inference.placement import placement

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
