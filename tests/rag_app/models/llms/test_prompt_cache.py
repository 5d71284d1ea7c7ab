"""Prompts on disk, by what a model on two layers says with and without them."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from rag_app import RagApp
from rag_app.errors import SettingsError
from rag_app.index.store.folders import delete_index
from rag_app.index.store.store import IndexStore
from rag_app.models.llms.llamacpp import LlamaCppChat
from rag_app.models.llms.prompt_cache import (
    GIGABYTE,
    PromptCache,
    all_kept_prompts,
    caches_folder,
    forget,
    kept_prompts,
    model_folder,
)
from tests.rag_app.index.hashing import HashingEmbeddings

PASSAGES = [
    "宝应元年（762年），李白病逝于当涂，享年六十二岁。" * 9,
    "本洗衣机的保修期为三年，电机保修十年。" * 14,
    "The parcel arrives on Tuesday in the morning, and the invoice a week later. " * 6,
]


def prompt(passage: int, question: str) -> str:
    return f"找出答案。\n\n资料：\n[1] a.txt\n{PASSAGES[passage]}\n\n问题：{question}"


def model(gguf: Path, **options: Any) -> LlamaCppChat:
    given = {"cache_size": 1.0, "keeps_prompts": True, **options}
    return LlamaCppChat(path=gguf, context_length=2048, max_tokens=16, threads=1, **given)


def cached(reply: AIMessage) -> int:
    assert reply.usage_metadata
    return reply.usage_metadata["input_token_details"]["cache_read"]


def kept(gguf: Path) -> list[Path]:
    return sorted(entry.file for entry in kept_prompts(model_folder(gguf)))


@pytest.fixture
def gguf(tiny_gguf: Path, home: Path) -> Path:
    """The file, and a home in which no prompt is kept."""
    assert not caches_folder().exists()
    return tiny_gguf


@pytest.mark.slow
def test_answers_are_the_same_with_and_without_it(gguf: Path) -> None:
    without = model(gguf, cache_size=0.0)
    for number in range(51):
        question = prompt(number % 3, f"第{number}个问题：李白{'怎样' * (number % 7)}去世的？")
        reply = model(gguf).invoke(question)  # another model each time: nothing is in memory
        assert reply.text == without.invoke(question).text
        assert (cached(reply) > 100) == (number >= 3)
    assert len(kept(gguf)) == 3


def test_a_model_that_keeps_nothing_writes_nothing(gguf: Path) -> None:
    model(gguf, keeps_prompts=False).invoke(prompt(0, "何时？"))
    assert kept(gguf) == []
    model(gguf, cache_size=0.0).invoke(prompt(0, "何时？"))
    assert kept(gguf) == []


@pytest.mark.slow
def test_where_several_are_worked_on_those_asked_alone_are_kept(gguf: Path) -> None:
    without = model(gguf, cache_size=0.0)
    for number in range(3):
        question = prompt(number, "何时？")
        reply = model(gguf, parallel=3).invoke(question)
        assert (reply.text, cached(reply)) == (without.invoke(question).text, 0)
    assert len(kept(gguf)) == 3
    fresh = model(gguf, parallel=3)
    assert cached(fresh.invoke(prompt(1, "谁？"))) > 100
    for turn in range(5):
        fresh.batch([prompt(number % 3, f"第{number}个{turn}？") for number in range(9)])
    fresh.model_copy(update={"keeps_prompts": False}).invoke("你好" * 300)
    for number in range(3):
        question = prompt(number, "哪里？")
        reply = fresh.invoke(question)
        assert reply.text == without.invoke(question).text
        assert cached(reply) > 100
    assert all(entry.is_whole() for entry in all_kept_prompts())
    assert len(kept(gguf)) == 3


def test_a_damaged_file_is_deleted_and_never_read(gguf: Path) -> None:
    first = model(gguf).invoke(prompt(0, "何时？"))
    (file,) = kept(gguf)
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    again = model(gguf).invoke(prompt(0, "何时？"))
    assert (again.text, cached(again)) == (first.text, 0)
    assert file.read_bytes() != data  # written anew
    for broken in (b"", b"{", b"[1]", b'{"prompt": 1}'):
        file.with_suffix(".json").write_bytes(broken)
        assert cached(model(gguf).invoke(prompt(0, "何时？"))) == 0


def test_a_file_that_llama_cpp_refuses_is_written_anew(gguf: Path) -> None:
    first = model(gguf).invoke(prompt(0, "何时？"))
    (entry,) = kept_prompts(model_folder(gguf))
    entry.file.write_bytes(entry.file.read_bytes()[:1000])
    stamp = json.loads(entry.stamp.read_text(encoding="utf-8"))
    stamp["sha256"] = hashlib.sha256(entry.file.read_bytes()).hexdigest()
    entry.stamp.write_text(json.dumps(stamp), encoding="utf-8")
    assert model(gguf).invoke(prompt(0, "何时？")).text == first.text
    assert entry.is_whole()
    assert cached(model(gguf).invoke(prompt(0, "何时？"))) > 100


def test_what_does_not_fit_on_the_disk_is_not_kept(
    gguf: Path, caplog: pytest.LogCaptureFixture
) -> None:
    resource = pytest.importorskip("resource")
    first = model(gguf).invoke(prompt(0, "何时？"))
    (entry,) = kept_prompts(model_folder(gguf))
    entry.delete()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for missing in (entry.size // 2, 100):
        resource.setrlimit(resource.RLIMIT_FSIZE, (entry.size - missing, hard))
        try:
            assert model(gguf).invoke(prompt(0, "何时？")).text == first.text
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert [*model_folder(gguf).iterdir()] == []
        assert "is not kept" in caplog.text
        caplog.clear()


def test_a_folder_that_can_not_be_made_is_said(
    gguf: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caches_folder().parent.write_text("no folder", encoding="utf-8")
    assert model(gguf).invoke(prompt(0, "何时？")).text
    assert "is not kept" in caplog.text


def test_what_is_left_half_written_or_damaged_is_deleted_once_it_is_old(gguf: Path) -> None:
    model(gguf).invoke(prompt(0, "何时？"))
    (entry,) = kept_prompts(model_folder(gguf))
    entry.stamp.write_bytes(b"{")
    left = [entry.file, entry.stamp]
    for name in (".0.1.bin", ".0.1", "0.bin"):
        left.append(entry.file.with_name(name))
        left[-1].write_bytes(b"x")
    model(gguf).invoke(prompt(1, "多久？"))
    assert all(file.exists() for file in left)  # another process may be writing them
    for file in left:
        os.utime(file, (0, 0))
    model(gguf).invoke(prompt(2, "when?"))
    assert not any(file.exists() for file in left)
    assert len(kept(gguf)) == 2


def test_what_else_lies_beside_it_does_no_harm(gguf: Path) -> None:
    caches_folder().mkdir(parents=True)
    (caches_folder() / ".DS_Store").write_bytes(b"x")
    (caches_folder() / "somebody's").mkdir(mode=0)
    assert model(gguf).invoke(prompt(0, "何时？")).text
    assert len(kept(gguf)) == 1


def test_one_of_another_model_is_not_found(gguf: Path, tmp_path: Path) -> None:
    model(gguf).invoke(prompt(0, "何时？"))
    other = tmp_path / "other.gguf"
    other.write_bytes(gguf.read_bytes())
    assert model_folder(other) != model_folder(gguf)
    assert cached(model(other).invoke(prompt(0, "何时？"))) == 0


def test_the_least_recently_used_go_first(gguf: Path) -> None:
    model(gguf).invoke(prompt(0, "何时？"))
    (first,) = kept(gguf)
    room = 2.5 * first.stat().st_size / 10**9
    model(gguf, cache_size=room).invoke(prompt(1, "多久？"))
    (second,) = set(kept(gguf)) - {first}
    model(gguf, cache_size=room).invoke(prompt(0, "哪里？"))
    model(gguf, cache_size=room).invoke(prompt(2, "when?"))
    left = kept(gguf)
    assert first in left
    assert second not in left
    assert len(left) == 2
    assert not second.exists()


def test_what_is_in_memory_is_not_read_from_disk(gguf: Path) -> None:
    llm = model(gguf)
    llm.invoke(prompt(0, "何时？"))
    for entry in kept_prompts(model_folder(gguf)):
        entry.delete()
    assert cached(llm.invoke(prompt(0, "哪里？"))) > 100


def test_what_another_prompt_may_have_pushed_out_of_memory_is_loaded_again(gguf: Path) -> None:
    model(gguf).invoke(prompt(0, "何时？"))
    (entry,) = kept_prompts(model_folder(gguf))
    asked: list[str] = []
    cache = PromptCache(model_folder(gguf), GIGABYTE, lambda path, _: asked.append(path))
    for text, restored in ((entry.prompt, 1), (entry.prompt, 1), ("", 1), (entry.prompt, 2)):
        with cache.turn(text) as keeps:
            assert keeps == bool(text)
        assert asked == ["/slots/0?action=restore"] * restored


def test_passages_are_forgotten(gguf: Path) -> None:
    for passage in (0, 1):
        model(gguf).invoke(prompt(passage, "何时？"))
    assert forget([PASSAGES[0], " "]) == 1
    (entry,) = kept_prompts(model_folder(gguf))
    assert PASSAGES[1] in entry.prompt
    assert len([*model_folder(gguf).iterdir()]) == 2


def test_warm_reads_ahead_and_removing_a_document_forgets_it(gguf: Path, home: Path) -> None:
    for number, passage in enumerate(PASSAGES):
        (home / f"{number}.txt").write_text(passage, encoding="utf-8")
    app = RagApp(llm=model(gguf, keeps_prompts=False), embeddings=HashingEmbeddings(), threshold=0)
    app.index([home / "0.txt", home / "1.txt", home / "2.txt"])
    seen: list[tuple[int, int]] = []
    assert app.warm(2, lambda *done: seen.append(done)) == 2
    assert seen == [(1, 2), (2, 2)]
    assert len(kept(gguf)) == 2
    assert app.warm(9) == 3
    prompts = [entry.prompt for entry in kept_prompts(model_folder(gguf))]
    assert sum("0.txt" in prompt for prompt in prompts) == 1
    assert len(prompts) == 3
    app.remove([str(home / "0.txt")])
    left = [entry.prompt for entry in kept_prompts(model_folder(gguf))]
    assert len(left) == 2
    assert not any(PASSAGES[0].strip() in prompt for prompt in left)
    delete_index(IndexStore(app.store.folder))
    assert not kept(gguf)


def test_what_a_document_said_before_is_forgotten(gguf: Path, home: Path) -> None:
    folder = home / "documents"
    folder.mkdir()
    for number in (0, 1):
        (folder / f"{number}.txt").write_text(PASSAGES[number], encoding="utf-8")
    app = RagApp(llm=model(gguf), embeddings=HashingEmbeddings(), threshold=0)
    app.index([folder])
    app.warm(2)
    assert len(kept(gguf)) == 2
    (folder / "0.txt").write_text(PASSAGES[2], encoding="utf-8")
    app.index([folder])
    (entry,) = kept_prompts(model_folder(gguf))
    assert PASSAGES[1] in entry.prompt
    (folder / "1.txt").unlink()
    app.index([folder], prune=True)
    assert not kept(gguf)


def test_warm_reads_first_what_was_asked_about_most(gguf: Path, home: Path) -> None:
    for number, passage in enumerate(PASSAGES):
        (home / f"{number}.txt").write_text(passage, encoding="utf-8")
    app = RagApp(llm=model(gguf), embeddings=HashingEmbeddings(), threshold=0, k=1)
    app.index([home / "0.txt", home / "1.txt", home / "2.txt"])
    for question in ("洗衣机保修多久？", "When does the parcel arrive?", "When is the invoice?"):
        app.ask(question)
    assert sorted(entry.uses for entry in all_kept_prompts())[-1] > 0
    # As after an update of llama.cpp: what was asked about is known, and has to be read anew.
    folder = model_folder(gguf)
    folder.rename(folder.with_name("earlier"))
    fresh = RagApp(llm=model(gguf), embeddings=HashingEmbeddings(), threshold=0, k=1)
    for number, passage in ((1, PASSAGES[2]), (2, PASSAGES[1]), (3, PASSAGES[0])):
        assert fresh.warm(number) == number
        assert len(kept(gguf)) == number
        assert any(passage.strip() in entry.prompt for entry in kept_prompts(folder))


@pytest.mark.slow
def test_a_passage_that_answered_in_part_is_read_in_whole_later(gguf: Path, home: Path) -> None:
    (home / "0.txt").write_text(f"{DAYS}{PASSAGES[0][:26]}{DAYS}", encoding="utf-8")
    copying = CopyingModel(path=gguf, context_length=2048, threads=1, cache_size=1.0)
    options: Any = {"threshold": 0, "context": "evidence"}
    app = RagApp(llm=copying, embeddings=HashingEmbeddings(), **options)
    app.index([home / "0.txt"])
    assert app.ask("宝应元年李白病逝于哪里？").supported
    assert not kept(gguf)
    assert app.read_wanted(lambda: True) == 0
    assert app.read_wanted() == 1
    assert app.read_wanted() == 0
    (entry,) = kept_prompts(model_folder(gguf))
    assert DAYS in entry.prompt
    app.ask("李白病逝于哪里？")
    (entry,) = kept_prompts(model_folder(gguf))
    assert entry.uses == 2  # it was judged and answered from


DAYS = "春天里江边的柳树都绿了，人们出门踏青。" * 12


class CopyingModel(LlamaCppChat):
    """Reads as it does, and answers with a sentence of the passage."""

    def _stream(self, *given: Any, **options: Any) -> Iterator[ChatGenerationChunk]:
        for chunk in super()._stream(*given, **options):
            if not options.get("logprobs"):
                chunk.message.content = ""
            yield chunk
        if not options.get("logprobs"):
            yield ChatGenerationChunk(message=AIMessageChunk(content=PASSAGES[0][:26]))


def test_warm_stops_for_a_request_and_before_a_full_cache(gguf: Path, home: Path) -> None:
    for number, passage in enumerate(PASSAGES):
        (home / f"{number}.txt").write_text(passage, encoding="utf-8")
    app = RagApp(llm=model(gguf), embeddings=HashingEmbeddings())
    app.index([home / "0.txt", home / "1.txt", home / "2.txt"])
    assert app.warm(3, stop=lambda: True) == 0
    read: list[int] = []
    assert app.warm(3, lambda done, _: read.append(done), stop=lambda: bool(read)) == 1
    (first,) = kept(gguf)
    room = 1.5 * first.stat().st_size / 10**9
    small = RagApp(llm=model(gguf, cache_size=room), embeddings=HashingEmbeddings())
    small.warm(3)
    assert kept(gguf) == [first]


def test_only_a_gguf_file_is_warmed(home: Path) -> None:
    from tests.scripted import ScriptedChatModel

    (home / "0.txt").write_text(PASSAGES[0], encoding="utf-8")
    app = RagApp(llm=ScriptedChatModel(replies=["x"]), embeddings=HashingEmbeddings())
    app.index([home / "0.txt"])
    with pytest.raises(SettingsError, match="gguf"):
        app.warm(1)
