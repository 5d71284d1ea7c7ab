"""A chat model that is told its replies, for tests where the wording is not the point."""

from collections.abc import Callable, Iterator
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field

Reply = str | Callable[[str], str]


class ScriptedChatModel(BaseChatModel):
    """Gives its replies in order, the last one again and again; a reply may be a function.

    It counts a token for each character, and fails where a prompt and its reply overflow the
    window, as a real model would.
    """

    replies: list[Any]
    window: int = 8192
    prompts: list[str] = Field(default_factory=list)
    profile: Any = None

    def model_post_init(self, _: Any) -> None:
        self.profile = {"max_input_tokens": self.window}

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def get_num_tokens(self, text: str) -> int:
        return len(text)

    def _reply(self, messages: list[BaseMessage]) -> str:
        prompt = "\n".join(message.text for message in messages)
        self.prompts.append(prompt)
        reply = self.replies[min(len(self.prompts), len(self.replies)) - 1]
        text = reply(prompt) if callable(reply) else reply
        assert len(prompt) + len(text) <= self.window, "the prompt overflows the window"
        return str(text)

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> ChatResult:
        message = AIMessage(content=self._reply(messages))
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> Iterator[ChatGenerationChunk]:
        for char in self._reply(messages):
            yield ChatGenerationChunk(message=AIMessageChunk(content=char))
