"""The file of items: what is in it, after whatever happened."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from model_prep.errors import OutputError
from tests.model_prep.crawl.chat_server import Chat, hang, item, say_items, until
from tests.model_prep.crawl.conftest import Crawls, lines, run, start
from tests.paths import ROOT


@pytest.mark.parametrize("tail", [b"{", b'{"instruc', b'{"instruction": "\xe4\xbd', b'{"in\0\0\0'])
def test_a_half_line_is_cut_off(crawls: Crawls, out: Path, tail: bytes) -> None:
    crawls(2)
    whole = out.read_bytes()
    out.write_bytes(whole + tail)
    report = crawls(2)
    assert report.cut_off == len(tail)
    assert out.read_bytes() == whole
    assert crawls.notes[-1].startswith(f"cut {len(tail)} bytes of a half line off ")


@pytest.mark.parametrize("cut", [1, 2, 40, 150])
def test_every_place_of_a_kill(crawls: Crawls, out: Path, cut: int) -> None:
    crawls(2)
    out.write_bytes(out.read_bytes()[:-cut])
    crawls(4)
    texts = [one["instruction"] for one in lines(out)]
    assert len(set(texts)) == 4


def test_lines_of_others_are_left_as_they_are(crawls: Crawls, out: Path) -> None:
    out.parent.mkdir()
    mine = {"id": 7, "instruction": "写一首诗", "output": "春眠不觉晓"}
    data = b"\xef\xbb\xbf" + json.dumps(mine).encode() + b"\r\n\r\n" + json.dumps(item(0)).encode()
    out.write_bytes(data)
    report = crawls(4)
    assert report.at_start == 2
    assert report.rejected == {"duplicate": 1}
    assert out.read_bytes().startswith(data + b"\n")


@pytest.mark.parametrize(
    "data", [b"notes of mine", b"[]", b"7\n", b'{"a": 1}\n', b"\x00\xff\n", b'{"instruction": 1\n{']
)
def test_a_file_of_something_else_is_not_touched(crawls: Crawls, out: Path, data: bytes) -> None:
    out.parent.mkdir()
    out.write_bytes(data)
    with pytest.raises(OutputError, match=r"line 1 of .* is not an item"):
        crawls()
    assert out.read_bytes() == data
    assert crawls.report.requests == 0


@pytest.mark.parametrize("place", ["folder", "/proc/none.jsonl", "/dev/full", "file/out.jsonl"])
def test_a_place_that_cant_be_written(chat: Chat, tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    done = run(tmp_path / place, "--count", 1, "--base-url", chat.url)
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert re.search(r"can't be written \(|is a folder or a device", done.stderr)
    assert chat.asked == []


@pytest.mark.slow
def test_a_disk_that_fills_up(crawls: Crawls, chat: Chat, out: Path) -> None:
    """A write that is cut short leaves what was there before it."""
    crawls(2)
    whole = out.read_bytes()
    code = (
        "import resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(whole) + 10}, -1))\n"
        "from model_prep.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "crawl", out, "--count", "4", "--base-url", chat.url],
        capture_output=True, text=True, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "can't be written (File too large)" in done.stderr
    assert out.read_bytes() == whole


@pytest.mark.slow
def test_two_writers(crawls: Crawls, chat: Chat, out: Path) -> None:
    crawls(2)
    chat.otherwise = hang
    other = start(out, chat)
    until(lambda: len(chat.asked) == 2)
    link = out.with_name("link.jsonl")
    link.symlink_to(out)
    for name in (out, link):
        done = run(name, "--count", 9, "--base-url", chat.url)
        assert done.exit_code == 1
        assert "is being written by another crawl" in done.stderr
    other.kill()
    other.communicate()
    chat.otherwise = say_items()
    assert crawls(4).total == 4
