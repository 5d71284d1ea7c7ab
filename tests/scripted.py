"""A chat model that is told its replies, for tests where the wording is not the point."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, ClassVar

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field

from rag_app.models.llms.local import LocalChat
from rag_app.models.llms.tools import END, Put

Reply = str | Callable[[str], str]


class ScriptedChatModel(BaseChatModel):
    """Gives its replies in order, the last one again and again; a reply may be a function.

    It counts a token for each character, and fails where a prompt and its reply overflow the
    window, as a real model would.
    """

    replies: list[Any]
    window: int = 8192
    delay: float = 0.0
    """Seconds between two characters of a stream in an event loop."""
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

    async def _astream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        reply = self._reply(messages)
        for char in reply:
            await asyncio.sleep(self.delay)
            yield ChatGenerationChunk(message=AIMessageChunk(content=char))
        read, made = len(self.prompts[-1]), len(reply)
        usage = UsageMetadata(input_tokens=read, output_tokens=made, total_tokens=read + made)
        end = {"finish_reason": "stop", "model_name": "scripted"}
        message = AIMessageChunk(content="", usage_metadata=usage, response_metadata=end)
        yield ChatGenerationChunk(message=message)

    async def acomplete(
        self, prompt: str, stop: Any = None, **options: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        async for chunk in self._astream([HumanMessage(prompt)]):
            yield chunk


class ScriptedLocalChat(LocalChat):
    """A model of this process that gives its replies in order, as `ScriptedChatModel` does.

    Where a form is asked for, a reply is supposed to have it.
    """

    follows_schemas: ClassVar[bool] = True

    replies: list[Any]
    prompts: list[str] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    @property
    def model_name(self) -> str:
        return "scripted"

    def get_num_tokens(self, text: str) -> int:
        return len(text)

    def _start(
        self,
        prompt: str | list[BaseMessage],
        stop: list[str],
        options: dict[str, Any],
        put: Put,
        cancelled: threading.Event,
    ) -> None:
        text = prompt if isinstance(prompt, str) else "\n".join(one.text for one in prompt)
        self.prompts.append(text)
        reply = self.replies[min(len(self.prompts), len(self.replies)) - 1]

        def run() -> None:
            for char in reply(text) if callable(reply) else reply:
                if cancelled.is_set():
                    break
                put(ChatGenerationChunk(message=AIMessageChunk(content=char)))
            end = {"finish_reason": "stop", "model_name": "scripted"}
            last = AIMessageChunk(content="", response_metadata=end)
            put(ChatGenerationChunk(message=last, generation_info=end))
            put(END)

        threading.Thread(target=run, name="scripted").start()


class JudgingChatModel(ScriptedChatModel):
    """Says in log probabilities what is told by ``judgements``, in order, the last again and again.

    What it is asked so stands in ``judged``, not in ``prompts``.
    """

    gives_logprobs: ClassVar[bool] = True

    judgements: list[float | None]
    """log P(yes) - log P(no); None where it gives no log probabilities."""
    judged: list[str] = Field(default_factory=list)

    def _generate(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **options: Any
    ) -> ChatResult:
        if not options.get("logprobs"):
            return super()._generate(messages, stop, run_manager)
        self.judged.append("\n".join(message.text for message in messages))
        odds = self.judgements[min(len(self.judged), len(self.judgements)) - 1]
        top = [{"token": "有", "logprob": odds or 0.0}, {"token": "没有", "logprob": 0.0}]
        told = {"logprobs": {"content": [{"token": "有", "top_logprobs": top}]}}
        message = AIMessage(content="有", response_metadata=told if odds is not None else {})
        return ChatResult(generations=[ChatGeneration(message=message)])
