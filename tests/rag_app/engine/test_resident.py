"""The resident engine, by its commands: on models of two layers, in real processes."""

import json
import os
import shutil
import signal
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from rag_app.engine.resident import state, stop
from rag_app.surroundings import EnginePlace
from tests.rag_app.engine.terminals import SECONDS, Done, begun, in_pipe, in_terminal

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets"),
]

DEATH = "宝应元年（762年），李白病逝于当涂，享年六十二岁。"
WASHER = "本洗衣机的保修期为三年，电机保修十年。"
QUESTION = "李白是怎样去世的？"
_ENGINE, _MODEL = "rag_app.server.resident", "rag_app.models.llms.llamacpp_server"
UNREAD = (
    "import sys; from rag_app.engine import ahead; "
    f"ahead._SECONDS = {SECONDS}; sys.modules['typer'] = None; "
)
"""Code before a command, that can't read its line then: what it shows was sent ahead."""


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def has_ended(pid: int) -> bool:
    """Whether a process has ended, waited for by its parent or not."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


class Workplace:
    """A home with an index, and commands in it."""

    def __init__(self, home: Path, gguf: Path) -> None:
        self.home = home
        self.llm = ["--llm", str(gguf), "--threshold", "0", "--threads", "1"]
        # Whatever is kept of the passage, it is read in whole.
        self.ask = ["ask", QUESTION, *self.llm, "--context", "full", "--max-new-tokens", "12"]

    def state(self) -> dict[str, Any]:
        found = state(EnginePlace.of_home())
        assert found is not None
        return found

    def start(self) -> int:
        """Have an engine that has nothing to do; return its process."""
        done = in_terminal(*self.ask)
        assert done.code == 0, done
        return self.idle()

    def idle(self) -> int:
        until(lambda: self.state()["at_work"] == 0)
        return int(self.state()["pid"])


def whole(done: Done) -> dict[str, Any]:
    """The JSON that a command printed, without its times."""
    assert done.code == 0, done
    values: dict[str, Any] = json.loads(done.stdout)
    assert values.pop("timings")["total"] > 0
    return values


@pytest.fixture(scope="module")
def shared(
    tiny_gguf: Path, tiny_embeddings: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A home with an index of two documents."""
    home = tmp_path_factory.mktemp("resident")
    (home / "李白.txt").write_text(DEATH, encoding="utf-8")
    (home / "washer.md").write_text(f"# 保修\n\n{WASHER}", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAG_APP_HOME", str(home))
        files = [str(home / "李白.txt"), str(home / "washer.md")]
        done = in_pipe("index", *files, "--embedding", str(tiny_embeddings))
    assert done.code == 0, done
    return home


@pytest.fixture
def place(shared: Path, tiny_gguf: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workplace]:
    """The home; what is resident in it when a test has ended ends too."""
    monkeypatch.setenv("RAG_APP_HOME", str(shared))
    monkeypatch.chdir(shared)
    yield Workplace(shared, tiny_gguf)
    stop(EnginePlace.of_home())


def test_a_second_command_finds_the_first_ones_engine(place: Workplace) -> None:
    alone = in_pipe(*place.ask, "--json")
    assert state(EnginePlace.of_home()) is None
    pid = place.start()
    assert whole(in_terminal(*place.ask, "--json")) == whole(alone)
    assert whole(in_pipe(*place.ask, "--json")) == whole(alone)
    assert (place.state()["pid"], place.state()["answers"]) == (pid, 3)
    for name, mode in (("", 0o700), ("engine.sock", 0o600), ("model.sock", 0o600)):
        assert stat.S_IMODE((place.home / "resident" / name).stat().st_mode) == mode
    process = psutil.Process(pid)
    for one in (process, *process.children()):
        assert not one.net_connections("inet")


def test_a_question_is_sent_before_its_line_is_read(place: Workplace) -> None:
    """The same line with another question begins at once, and says what it would have said."""
    other = ["ask", "电机保修几年？", *place.ask[2:], "--show-context"]
    same = [*place.ask, "--show-context"]
    alone = [in_terminal(*other, "--keep-alive", "0"), in_pipe(*other, "--json")]
    assert in_terminal(*same).code == 0
    assert in_pipe(*same, "--json").code == 0
    unread = in_terminal(*other, before=UNREAD)
    assert unread.code == 1
    text = unread.stdout.strip()
    assert text
    assert alone[0].stdout.startswith(text)
    done = in_terminal(*other)
    assert (done.code, done.stdout, done.stderr) == (0, alone[0].stdout, alone[0].stderr)
    assert whole(in_pipe(*other, "--json")) == whole(alone[1])


def test_what_a_line_came_to_is_not_believed_after_a_change(place: Workplace) -> None:
    """Settings that a file or the environment brings are another line; so is another file."""
    assert in_terminal(*place.ask).code == 0
    assert in_terminal(*place.ask, before=UNREAD).stdout
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAG_APP_K", "1")
        assert not in_terminal(*place.ask, before=UNREAD).stdout
    (place.home / "rag-app.toml").write_text("k = 1\n", encoding="utf-8")
    assert not in_terminal(*place.ask, before=UNREAD).stdout
    (place.home / "rag-app.toml").unlink()
    assert in_terminal(*place.ask, before=UNREAD).stdout
    gguf = Path(place.llm[1])
    times = gguf.stat()
    os.utime(gguf, ns=(times.st_atime_ns, times.st_mtime_ns + 10**9))
    try:
        assert not in_terminal(*place.ask, before=UNREAD).stdout
    finally:
        os.utime(gguf, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_summaries_are_the_same(place: Workplace) -> None:
    long = place.home / "long.txt"
    long.write_text(DEATH * 30, encoding="utf-8")
    command = ["summarize", "long.txt", *place.llm[:2], "--max-new-tokens", "8", "--json"]
    alone = in_pipe(*command, "--threads", "1")
    place.start()
    assert whole(in_pipe(*command, "--threads", "1")) == whole(alone)
    assert place.state()["answers"] == 2
    options = [*place.llm[:2], "--threads", "1"]
    missing = in_pipe("summarize", "missing.txt", *options)
    assert (missing.code, "missing.txt does not exist" in missing.stderr) == (1, True)


def test_options_of_a_question_travel_with_it(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ["--in", "washer.md", "--chain", "stuff", "--k", "1", "--json"]
    alone = in_pipe(*place.ask, *more)
    place.start()
    assert whole(in_pipe(*place.ask, *more)) == whole(alone)
    prompts = place.home / "prompts"
    prompts.mkdir(exist_ok=True)
    (prompts / "answer.zh.txt").write_text("{context}\n只答：{question}", encoding="utf-8")
    own = [*place.ask, "--prompts", "prompts", "--json"]
    assert whole(in_pipe(*own)) == whole(in_pipe(*own, "--keep-alive", "0"))
    (place.home / "damaged.json").write_text("{", encoding="utf-8")
    monkeypatch.setenv("RAG_APP_CALIBRATIONS", "damaged.json")
    done = in_pipe(*place.ask)
    assert (done.code, done.stdout) == (1, "")
    assert "damaged.json" in done.stderr
    assert place.state()["answers"] == 4


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_one_that_is_bound_to_other_cores_is_not_used(place: Workplace) -> None:
    place.start()
    bound = "import os; os.sched_setaffinity(0, [max(os.sched_getaffinity(0))]); "
    many = len(os.sched_getaffinity(0)) > 1
    pid = place.idle()
    assert in_terminal(*place.ask, before=bound).code == 0
    assert (place.idle() != pid) is many


def test_users_errors_are_the_same(place: Workplace) -> None:
    wrong = [
        ["ask", "  ", *place.llm],
        ["ask", QUESTION, *place.llm, "--index", "none"],
        ["ask", QUESTION, *place.llm, "--in", "没有.txt"],
        ["ask", "问" * 9000, *place.llm],
    ]
    alone = [in_pipe(*command) for command in wrong]
    place.start()
    assert [in_pipe(*command) for command in wrong] == alone
    assert {done.code for done in alone} == {1}


def test_one_of_other_settings_is_not_used(place: Workplace, tmp_path: Path) -> None:
    pid = place.start()
    copy = shutil.copy(place.llm[1], tmp_path / "other.gguf")
    for other in (["--llm", str(copy)], ["--threads", "2"]):
        assert in_pipe(*place.ask, *other).code == 0
    assert in_pipe(*place.ask, "--keep-alive", "0").code == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_SERVICE_NAME", "another")  # traces would go to another place
        assert in_pipe(*place.ask).code == 0
    assert (place.state()["pid"], place.state()["answers"]) == (pid, 1)
    # In a terminal it makes way for one of the settings that are wanted now.
    assert in_terminal(*place.ask, "--llm", str(copy)).code == 0
    assert place.idle() != pid
    assert place.state()["llm"] == str(copy)


def test_one_of_another_version_makes_way(place: Workplace) -> None:
    pid = place.start()
    assert in_terminal(*place.ask, before="import rag_app; rag_app.__version__ = '9.9'; ").code == 0
    assert place.idle() != pid
    until(lambda: has_ended(pid))


def test_one_of_another_home_is_not_used(
    place: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.start()
    monkeypatch.setenv("RAG_APP_HOME", str(tmp_path))
    assert state(EnginePlace.of_home()) is None
    done = in_pipe(*place.ask)
    assert "no index in" in done.stderr


def _is_of(process: psutil.Process, place: Workplace, module: str) -> bool:
    """Whether a process runs a module for the home."""
    try:
        named = module in process.cmdline()
        return named and process.environ().get("RAG_APP_HOME") == str(place.home)
    except psutil.Error:
        return False


def test_two_at_once_make_one(place: Workplace) -> None:
    with begun(*place.ask) as first, begun(*place.ask) as second:
        ends = [first.end(), second.end()]
    assert [done.code for done in ends] == [0, 0]
    assert ends[0].stdout == ends[1].stdout
    place.idle()
    named = [process.pid for process in psutil.process_iter() if _is_of(process, place, _ENGINE)]
    assert named == [place.state()["pid"]]


def test_ctrl_c_ends_the_generation_and_not_the_engine(place: Workplace) -> None:
    pid = place.start()
    endless = [*place.llm, "--chain", "stuff", "--max-new-tokens", "7000"]
    for question in (QUESTION, "电机保修几年？"):  # the second is sent ahead
        with begun("ask", question, *endless) as running:
            assert running.began.wait(SECONDS)
            running.process.send_signal(signal.SIGINT)
            done = running.end()
        assert done.code == 130, done
        assert "Traceback" not in done.stderr
        assert place.idle() == pid


def test_a_killed_command_leaves_the_engine_idle(place: Workplace) -> None:
    pid = place.start()
    with begun(
        "ask", QUESTION, *place.llm, "--chain", "stuff", "--max-new-tokens", "7000"
    ) as running:
        assert running.began.wait(SECONDS)
        running.process.kill()
    assert place.idle() == pid


def test_after_a_kill_of_either_process_the_next_command_answers(place: Workplace) -> None:
    answer = whole(in_pipe(*place.ask, "--json"))
    for attempt in range(6):
        pid = place.start()
        victim = psutil.Process(pid)
        if attempt % 2:
            (victim,) = victim.children()
        with begun(
            "ask", QUESTION, *place.llm, "--chain", "stuff", "--max-new-tokens", "7000"
        ) as running:
            if attempt < 4:
                assert running.began.wait(SECONDS)
            victim.kill()
            done = running.end() if attempt < 4 else Done(1, "", "")
        assert done.code == 1, done
        assert done.stderr.startswith("rag-app: ") or attempt >= 4
        assert "Traceback" not in done.stderr
        assert whole(in_pipe(*place.ask, "--json")) == answer
    until(lambda: not [p for p in psutil.process_iter() if _is_of(p, place, _MODEL)])


def test_an_answer_says_that_its_engine_was_ended(place: Workplace) -> None:
    place.start()
    with begun(
        "ask", QUESTION, *place.llm, "--chain", "stuff", "--max-new-tokens", "7000"
    ) as running:
        assert running.began.wait(SECONDS)
        assert stop(EnginePlace.of_home())
        done = running.end()
    assert done.code == 1
    assert "resident engine ended" in done.stderr


def test_a_socket_that_was_left_behind_is_replaced(place: Workplace) -> None:
    found = EnginePlace.of_home()
    found.make()
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(found.socket))
    assert in_pipe(*place.ask).code == 0
    assert place.start()


def test_it_ends_by_itself(place: Workplace) -> None:
    assert in_terminal(*place.ask, "--keep-alive", "0.02").code == 0
    until(lambda: state(EnginePlace.of_home()) is None)
    until(lambda: not EnginePlace.of_home().socket.exists())


def test_status_shows_it_and_stop_ends_it(place: Workplace) -> None:
    assert json.loads(in_pipe("status", "--json").stdout)["resident"] is None
    assert "no resident engine" in in_pipe("stop").stderr
    pid = place.start()
    shown = json.loads(in_pipe("status", "--json").stdout)["resident"]
    assert (shown["pid"], shown["at_work"]) == (pid, 0)
    assert shown["bytes"] > 1_000_000
    assert 0 < shown["seconds_left"] <= 600
    assert f"process {pid}" in in_pipe("status").stdout
    assert "has ended" in in_pipe("stop").stderr
    until(lambda: has_ended(pid))


def test_one_that_hangs_is_ended(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_app.engine.resident._STOP_SECONDS", 1.0)
    monkeypatch.setattr("rag_app.engine.resident._SERVING_SECONDS", 1.0)
    pid = place.start()
    os.kill(pid, signal.SIGSTOP)
    assert state(EnginePlace.of_home()) is None
    assert stop(EnginePlace.of_home())
    until(lambda: has_ended(pid))


@pytest.fixture
def long(place: Workplace, tiny_embeddings: Path) -> list[str]:
    """Options that name an index of two passages that are worth being kept; none is yet."""
    files = [place.home / "long" / name for name in ("death.txt", "washer.txt")]
    files[0].parent.mkdir(exist_ok=True)
    for file, text in zip(files, (DEATH, WASHER), strict=True):
        file.write_text(text * 20, encoding="utf-8")
    named = ["--index", "long"]
    done = in_pipe("index", *map(str, files), *named, "--embedding", str(tiny_embeddings))
    assert done.code == 0, done
    shutil.rmtree(place.home / "cache", ignore_errors=True)
    return named


def kept(place: Workplace) -> int:
    return len([*(place.home / "cache" / "prompts").rglob("*.json")])


def test_it_reads_passages_ahead(place: Workplace, long: list[str]) -> None:
    place.start()
    before = kept(place)
    command = ["warm", "--limit", "2", *place.llm[:2], "--threads", "1"]
    done = in_pipe(*command, *long)
    assert (done.code, "2 passages read" in done.stderr) == (0, True), done
    assert (place.state()["answers"], kept(place)) == (1, before + 2)
    wrong = in_pipe(*command, "--index", "none")
    assert (wrong.code, "no index in" in wrong.stderr) == (1, True), wrong


def test_it_reads_passages_ahead_by_itself(
    place: Workplace, long: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_APP_IDLE_SECONDS", "0.5")
    assert in_terminal(*place.ask, *long).code == 0
    until(lambda: kept(place) >= 2)
    assert whole(in_pipe(*place.ask, *long, "--json"))


def test_a_home_with_a_long_path(
    place: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("长" * 50)
    shutil.copytree(place.home / "indexes", long / "indexes")
    monkeypatch.setenv("RAG_APP_HOME", str(long))
    try:
        assert place.start()
        assert len(os.fsencode(EnginePlace.of_home().socket)) <= 100
    finally:
        stop(EnginePlace.of_home())
        shutil.rmtree(EnginePlace.of_home().folder)


def test_follow_ups_are_understood(place: Workplace) -> None:
    """What was said before reaches the engine, which first makes the question stand alone."""
    from rag_app.engine.command_engine import CommandEngine
    from rag_app.settings import load_settings

    place.start()
    settings = load_settings(llm=place.llm[1], threshold=0, threads=1, max_new_tokens=4)
    history = [("human", QUESTION), ("ai", "病逝于当涂。")]
    seconds: dict[str, float] = {}
    before = threading.active_count()
    with closing(CommandEngine(settings)) as engine:
        pieces = list(engine.answer("他享年多少？", history, seconds))
    assert pieces[-1]
    assert "standalone question" in seconds
    assert threading.active_count() == before
    assert place.state()["answers"] == 2
