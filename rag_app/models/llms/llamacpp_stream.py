"""The event stream of llama.cpp's server as LangChain's chunks."""

from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.ai import InputTokenDetails, UsageMetadata
from langchain_core.outputs import ChatGenerationChunk

from rag_app.errors import ModelError, PromptTooLongError

Event = dict[str, Any]


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
