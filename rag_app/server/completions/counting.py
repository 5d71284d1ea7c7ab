"""What the calls to the model behind one answer took, and how they ended."""

from typing import Any

from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.outputs import LLMResult

from rag_app.server.completions.shapes import Usage


class Counting(AsyncCallbackHandler):
    """Adds up the tokens of all calls that one answer takes.

    Args:
        usage: What they are added to.
    """

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self.finish_reason = "stop"
        """``length`` where one of the calls was cut off."""

    async def on_llm_end(self, response: LLMResult, **_: Any) -> None:
        """Take note of one call."""
        for message in [
            getattr(one, "message", None) for row in response.generations for one in row
        ]:
            if usage := getattr(message, "usage_metadata", None):
                self._usage.add(usage)
            if getattr(message, "response_metadata", {}).get("finish_reason") == "length":
                self.finish_reason = "length"
