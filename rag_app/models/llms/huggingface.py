"""Hugging Face folders and hub names: LangChain's `HuggingFacePipeline` as a chat model.

`HuggingFacePipeline` takes plain prompts, drops generation options that are given when it is made,
stops on single tokens only and can't be cancelled; so the prompt is rendered with the model's chat
template here, and its model generates in batches that watch for stop strings and cancellation.
"""

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from langchain_core.messages import (
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    convert_to_openai_messages,
)
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGenerationChunk
from langchain_huggingface import HuggingFacePipeline
from pydantic import PrivateAttr

from model_prep.errors import first_line, is_of_gpu_memory
from model_prep.inference.chat_template import ChatTemplate
from model_prep.inference.sampling import Sampling
from model_prep.tokenizer.loading import start_of
from rag_app.errors import ModelError, PromptTooLongError
from rag_app.models.llms.huggingface_batch import Batcher, Request
from rag_app.models.llms.local import LocalChat, failure, local_options
from rag_app.models.llms.thoughts import opens_thoughts
from rag_app.models.llms.tools import END, Put, written_out
from rag_app.settings import Settings


class HuggingFaceChat(LocalChat):
    """A chat model around a ``text-generation`` pipeline.

    An answer never holds the prompt, ends at the model's end token or a stop string, and has at
    most ``max_tokens`` tokens, the prompt not counted.

    Args:
        llm: What `HuggingFacePipeline.from_model_id` returns, or another.
    """

    llm: HuggingFacePipeline
    opens_thoughts: bool = False
    """Whether the chat template opens the reasoning that a reply begins with."""

    _batcher: Batcher = PrivateAttr()
    _template: ChatTemplate = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        """Say how long the context is, and prepare to generate."""
        super().model_post_init(context)
        self._template = ChatTemplate(self.tokenizer)
        self.opens_thoughts = opens_thoughts(self.render([HumanMessage("?")]))
        self._batcher = Batcher(self.llm.pipeline.model, self.tokenizer, self.parallel)

    @property
    def _llm_type(self) -> str:
        return "huggingface"

    @property
    def model_name(self) -> str:
        """The folder or hub name."""
        return self.llm.model_id or self._llm_type

    @property
    def tokenizer(self) -> Any:
        """The pipeline's tokenizer."""
        return self.llm.pipeline.tokenizer

    def get_num_tokens(self, text: str) -> int:
        """Return how many of the model's tokens ``text`` has in a message."""
        return len(self.get_token_ids(self._template.control_tokens.escape(text)))

    def get_token_ids(self, text: str) -> list[int]:
        """Return the model's tokens of ``text``, without a start token."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def render(self, messages: list[BaseMessage]) -> str:
        """Return the prompt; control tokens in messages are escaped, calls of tools are text."""
        return self._template.render(convert_to_openai_messages(written_out(messages)))

    def _start(
        self,
        prompt: str | list[BaseMessage],
        stop: list[str],
        options: dict[str, Any],
        put: Put,
        cancelled: threading.Event,
    ) -> None:
        text = start_of(self.tokenizer) + prompt if isinstance(prompt, str) else self.render(prompt)
        ids = self.get_token_ids(text)
        room = self.context_length - len(ids)
        if room <= 0:
            raise PromptTooLongError(
                f"this model's maximum context length is {self.context_length} tokens and the "
                f"prompt has {len(ids)}; ask about less"
            )

        def show(item: Any) -> None:
            if isinstance(item, BaseException):
                reason = first_line(item)
                msg = f"generation failed ({reason}); a smaller model or shorter input may do"
                put(failure(msg, item))
            elif item is END:
                put(self._last_chunk(request))
                put(END)
            else:
                put(ChatGenerationChunk(message=AIMessageChunk(content=item)))

        limit = min(options["max_tokens"], room)
        request = Request(ids, _generate_options(options), limit, stop, show, cancelled)
        self._batcher.submit(request)

    def _last_chunk(self, request: Request) -> ChatGenerationChunk:
        info = {"finish_reason": request.finish_reason, "model_name": self.model_name}
        read, generated = len(request.ids), request.generated
        usage = UsageMetadata(
            input_tokens=read, output_tokens=generated, total_tokens=read + generated
        )
        message = AIMessageChunk(content="", usage_metadata=usage, response_metadata=info)
        return ChatGenerationChunk(message=message, generation_info=info)


def _generate_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``generate``, with the seed and the penalties that it lacks."""
    names = ("temperature", "top_p", "top_k", "repetition_penalty")
    generate = Sampling(**{name: options[name] for name in names}).generate_options()
    del generate["max_new_tokens"]  # each request of a batch has its own
    extra = ("presence_penalty", "frequency_penalty", *(["seed"] if generate["do_sample"] else []))
    return generate | {name: options[name] for name in extra if options.get(name) is not None}


def load(spec: str, settings: Settings) -> HuggingFaceChat:
    """Return the model of a local folder, or of a repository in the local hub cache.

    Raises:
        ModelError: it is missing, damaged, too large for the memory, or ``settings`` ask for
            quantization or GPUs that this machine hasn't.
    """
    from transformers import pipeline

    from model_prep.errors import ModelPrepError
    from model_prep.inference.transformers_model import load_causal_lm
    from model_prep.lora.attach import attach_loras
    from model_prep.lora.merge import split_folders
    from model_prep.lora.plan import prepare_merge
    from model_prep.process_state import quiet_transformers
    from model_prep.tokenizer.files import find_tokenizer
    from model_prep.tokenizer.loading import load_tokenizer

    options = model_options(settings)
    if Path(spec).is_dir():
        _require_memory(Path(spec), options)
    loras = split_folders(settings.lora) if settings.lora else []
    try:
        folders = [*reversed(loras), Path(spec)]
        own = next((folder for folder in folders if find_tokenizer(folder)), spec)
        tokenizer = load_tokenizer(settings.tokenizer or own)
        model = load_causal_lm(spec, options)
        if loras:
            with prepare_merge(Path(spec), loras) as plan:
                model = attach_loras(model, plan.adapters).base_model.model
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, ModelPrepError) as error:
        raise ModelError(_why_not_loaded(spec, error.__cause__ or error)) from error
    with quiet_transformers():
        # By itself it moves a model to the first GPU, but for one that several share.
        on_one_gpu = model.device.type == "cuda" and not hasattr(model, "hf_device_map")
        device = model.device if on_one_gpu else None
        pipe = pipeline("text-generation", model=model, tokenizer=tokenizer, device=device)
    window = getattr(model.config, "max_position_embeddings", None) or settings.context_length
    shared = local_options(settings)
    shared["context_length"] = min(window, settings.context_length)
    return HuggingFaceChat(llm=HuggingFacePipeline(pipeline=pipe, model_id=spec), **shared)


def _require_memory(folder: Path, options: dict[str, Any]) -> None:
    from model_prep.checkpoint.reader import open_checkpoint
    from model_prep.errors import CheckpointError, GenerateError
    from model_prep.inference.placement import require_memory

    try:
        with (
            suppress(CheckpointError, OSError, RuntimeError, ValueError),
            open_checkpoint(folder) as checkpoint,
        ):
            require_memory(checkpoint.tensors.values(), options)
    except GenerateError as error:
        raise ModelError(f"{folder} can't be loaded: {error}") from error


def _why_not_loaded(spec: str, error: BaseException) -> str:
    reason = first_line(error)
    if is_of_gpu_memory(error):
        return f"{spec} can't be loaded ({reason}); give --quantize 4bit, or a smaller model"
    what = "is not a model that can be loaded" if Path(spec).is_dir() else "is not here"
    return f"{spec} {what} ({reason}); give a folder with config, weights and tokenizer"


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
