"""LangChain's own suites for chat models, on each of ours.

What a class declares that it can't do is in its properties; `conftest` deselects those tests.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from model_prep.inference.llamacpp_model import start_server
from rag_app.models.llms.huggingface import HuggingFaceChat
from rag_app.models.llms.llamacpp import LlamaCppChat
from rag_app.models.llms.openai import CompatibleChat
from rag_app.models.registry import load_llm


class OneModel:
    """A chat model with one model behind it, whatever a call names."""

    params: dict[str, Any]

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return self.params

    @property
    def supports_model_override(self) -> bool:
        return False


class NoTools:
    """A tiny model, which makes no sense: neither calls of tools nor JSON that ends."""

    @property
    def has_tool_calling(self) -> bool:
        return False

    @property
    def has_structured_output(self) -> bool:
        return False


class LlamaCpp(OneModel):
    @pytest.fixture(autouse=True)
    def file(self, tiny_gguf: Path) -> None:
        self.params = {"path": tiny_gguf, "context_length": 1024, "threads": 1}

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return LlamaCppChat

    @property
    def supported_usage_metadata_details(self) -> Any:
        return {"invoke": ["cache_read_input"], "stream": ["cache_read_input"]}

    def invoke_with_cache_read_input(self, *, stream: bool = False) -> Any:
        llm = LlamaCppChat(**self.params, max_tokens=4)
        llm.invoke("资料：" + "临溪镇在临江市东南。" * 8)
        asked = "资料：" + "临溪镇在临江市东南。" * 8 + "？"
        if not stream:
            return llm.invoke(asked)
        first, *rest = llm.stream(asked)
        return sum(rest, first)


class HuggingFace(OneModel):
    @pytest.fixture(autouse=True)
    def pipeline(self, tiny_llm: Path) -> None:
        llm = load_llm(str(tiny_llm))
        assert isinstance(llm, HuggingFaceChat)
        self.params = {"llm": llm.llm, "context_length": 1024}

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return HuggingFaceChat


@pytest.fixture(scope="module")
def served(tiny_gguf: Path) -> Iterator[str]:
    """The address of llama.cpp's own server over HTTP."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(tiny_gguf)
    params.n_ctx, params.n_parallel = 1024, 1
    params.warmup, params.verbosity = False, -1
    server = start_server(params)
    yield f"{server.listening_address}/v1"
    del server


class Compatible(NoTools, OneModel):
    @pytest.fixture(autouse=True)
    def server(self, served: str) -> None:
        self.params = {
            "base_url": served, "api_key": "none", "model": "tiny", "stream_usage": True,
            "max_completion_tokens": 16,
        }  # fmt: skip

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return CompatibleChat


class TestLlamaCppUnit(LlamaCpp, ChatModelUnitTests):
    pass


class TestLlamaCppIntegration(NoTools, LlamaCpp, ChatModelIntegrationTests):
    """`test_llamacpp` asks for types that the tiny model can end."""


class TestHuggingFaceUnit(HuggingFace, ChatModelUnitTests):
    pass


class TestHuggingFaceIntegration(NoTools, HuggingFace, ChatModelIntegrationTests):
    """`test_tools` has a model that calls."""


class TestCompatibleUnit(Compatible, ChatModelUnitTests):
    pass


class TestCompatibleIntegration(Compatible, ChatModelIntegrationTests):
    pass
