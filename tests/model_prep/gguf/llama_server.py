"""llama.cpp itself, asked for tokens and text."""

import json
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from model_prep.inference.llamacpp_model import start_server


class LlamaServer:
    """A GGUF file served in this process."""

    def __init__(self, path: Path) -> None:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx = 512
        params.n_parallel = 1
        params.warmup = False
        params.verbosity = -1
        self._server = start_server(params)

    def tokenize(self, text: str, *, start: bool = False, special: bool = False) -> list[int]:
        """Return the tokens; ``special`` reads ``</s>`` in the text as the token."""
        content = {"content": text, "add_special": start, "parse_special": special}
        tokens: list[int] = self._post("tokenize", content)["tokens"]
        return tokens

    def render(self, messages: list[dict[str, str]]) -> str:
        """Return the prompt of a chat."""
        prompt: str = self._post("apply-template", {"messages": messages})["prompt"]
        return prompt

    def _post(self, path: str, content: dict[str, Any]) -> Any:
        request = Request(
            f"{self._server.listening_address}/{path}",
            json.dumps(content).encode(),
            {"Content-Type": "application/json"},
        )
        with urlopen(request, timeout=60) as response:
            return json.load(response)

    def complete(self, prompt: str, count: int) -> str:
        """Return the likeliest ``count`` tokens after a prompt, as text."""
        request = {"prompt": prompt, "max_tokens": count, "temperature": 0.0, "seed": 1}
        answer: dict[str, Any] = self._server.handle_completions(request)
        text: str = answer["choices"][0]["text"]
        return text
