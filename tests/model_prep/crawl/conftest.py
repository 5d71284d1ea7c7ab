"""Crawls of a scripted server."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from model_prep.cli import app
from model_prep.crawl.crawl import crawl
from model_prep.crawl.report import CrawlReport
from model_prep.crawl.settings import CrawlOptions
from tests.model_prep.crawl.chat_server import KEY, Chat, serve
from tests.paths import ROOT


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chat]:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with serve() as running:
        yield running


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "数据 data" / "out.jsonl"


class Crawls:
    """Crawls of a scripted server that wait for nothing."""

    def __init__(self, chat: Chat, out: Path) -> None:
        self.chat, self.out = chat, out
        self.waits: list[float] = []
        self.notes: list[str] = []
        self.report = CrawlReport()

    def __call__(self, count: int = 4, **options: Any) -> CrawlReport:
        options = {"base_url": self.chat.url, "items": 2, "concurrency": 1, **options}
        self.report = CrawlReport()
        return crawl(
            CrawlOptions(self.out, count, **options),
            report=self.report,
            note=self.notes.append,
            sleep=self.wait,
        )

    async def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture
def crawls(chat: Chat, out: Path) -> Crawls:
    return Crawls(chat, out)


def lines(out: Path) -> list[dict[str, str]]:
    data = out.read_bytes()
    assert data == b"" or data.endswith(b"\n")
    return [json.loads(line) for line in data.decode().splitlines()]


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["crawl", *map(str, arguments)])


def start(out: Path, chat: Chat, *more: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "model_prep", "crawl", str(out), "--count", "50"]
    options = ["--items", "2", "--base-url", chat.url, "--concurrency", "1", *more]
    environment = {**os.environ, "OPENAI_API_KEY": KEY}
    return subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env=environment,
    )  # fmt: skip
