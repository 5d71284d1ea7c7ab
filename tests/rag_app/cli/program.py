"""`rag-app` in process, on real models of two layers."""

from collections.abc import Sequence
from pathlib import Path

from typer.testing import CliRunner, Result

from rag_app.cli import app

DEATH = "宝应元年（762年），李白病逝于当涂，享年六十二岁。"
WASHER = "本洗衣机的保修期为三年，电机保修十年。"


class Program:
    """`rag-app` with the tiny models."""

    def __init__(self, llm: Path, embeddings: Path) -> None:
        self.models = {"--llm": str(llm), "--embedding": str(embeddings)}

    def __call__(self, *arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(app, self._complete(arguments), input=stdin)

    def _complete(self, arguments: Sequence[str]) -> list[str]:
        wanted = {
            "index": ["--embedding"],
            "ask": ["--llm"],
            "summarize": ["--llm"],
        }.get(arguments[0], [])
        given = [name for name in wanted if name not in arguments]
        return [*arguments, *(part for name in given for part in (name, self.models[name]))]

    def ok(self, *arguments: str, stdin: str | None = None) -> Result:
        result = self(*arguments, stdin=stdin)
        assert result.exit_code == 0, result.output
        return result

    def fails(self, *arguments: str, code: int = 1) -> str:
        """The one line that is said on stderr."""
        result = self(*arguments)
        assert result.exit_code == code, result.output
        assert result.stdout == ""
        assert "Traceback" not in result.stderr
        return result.stderr
