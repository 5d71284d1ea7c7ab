"""What is asked, and what is kept."""

import json
from pathlib import Path

import pytest

from model_prep.crawl.prompts import (
    CONSTRAINTS,
    EXAMPLES,
    TASKS,
    TOPICS,
    PromptSampler,
    read_list,
)
from tests.model_prep.crawl.chat_server import Chat, item, say, say_items, wanted
from tests.model_prep.crawl.conftest import Crawls, lines


def test_a_file_of_as_many_items(crawls: Crawls, chat: Chat, out: Path) -> None:
    report = crawls(5, seed=1)
    assert lines(out) == [item(number) for number in range(5)]
    assert [wanted(body) for body in chat.asked] == [2, 2, 1]
    assert (report.kept, report.total, report.requests, report.retries) == (5, 5, 3, 0)
    assert (report.prompt_tokens, report.completion_tokens, report.cost) == (300, 150, None)
    asked = chat.asked[0]
    assert asked["path"] == "/v1/chat/completions"
    assert asked["model"] == "default"
    assert asked["max_tokens"] == 700
    assert asked["response_format"]["json_schema"]["strict"] is True


def test_prompts_are_drawn_from_the_lists() -> None:
    drawn = PromptSampler(["甲", "乙"], ["问", "写"], ["短", "长"], seed="1").draw(4).lines
    for texts in zip(*drawn, strict=True):
        assert len(set(texts)) == 2
        assert set(texts[:2]) == set(texts[2:])  # each before any comes again
    topics, tasks, constraints = map(read_list, (TOPICS, TASKS, CONSTRAINTS))
    assert (len(topics) >= 80, len(tasks) >= 25, len(constraints) >= 20) == (True,) * 3
    for topic, task, constraint in EXAMPLES:
        assert (topic in topics, task in tasks, constraint in constraints) == (True,) * 3
    messages = PromptSampler(topics, tasks, constraints).draw(20).messages
    assert messages[-1]["content"].count("\n") == 20
    assert messages[:3] == PromptSampler(["甲"], ["问"], ["短"]).draw(1).messages[:3]


def test_a_seed_repeats_the_prompts(crawls: Crawls, chat: Chat, out: Path) -> None:
    for seed in (7, 7, 8):
        crawls(6, seed=seed)
        out.unlink()
    said = [body["messages"][-1]["content"] for body in chat.asked]
    assert said[:3] == said[3:6]
    assert said[6:] != said[3:6]
    assert len(set(said[:3])) == 3


def test_topics_and_tasks_of_ones_own(crawls: Crawls, chat: Chat, tmp_path: Path) -> None:
    topics, tasks = tmp_path / "题材.txt", tmp_path / "tasks.txt"
    topics.write_bytes("﻿量子力学\r\n\r\n 量子力学 \n".encode())
    tasks.write_text("Explain it in English", encoding="utf-8")
    crawls(2, topics=topics, tasks=tasks)
    said = chat.asked[0]["messages"][-1]["content"]
    assert said.count("量子力学：Explain it in English（") == 2


def test_it_goes_on_with_other_prompts(crawls: Crawls, chat: Chat, out: Path) -> None:
    crawls(2, seed=1)
    report = crawls(4, seed=1)
    assert (report.at_start, report.kept, report.total) == (2, 2, 4)
    assert lines(out) == [item(number) for number in range(4)]
    first, second = (body["messages"][-1]["content"] for body in chat.asked)
    assert first != second
    assert crawls(3).requests == 0
    assert len(lines(out)) == 4


def test_requests_at_a_time(crawls: Crawls, chat: Chat, out: Path) -> None:
    chat.otherwise = say_items(delay=0.1)
    crawls(12, concurrency=4)
    assert chat.most_together == 4
    assert len(chat.asked) == 6
    assert len(lines(out)) == 12


def test_duplicates(crawls: Crawls, chat: Chat, out: Path) -> None:
    chat.otherwise = say(json.dumps([item(0), item(1), item(1)]))
    chat.acts = [chat.otherwise, say_items()]
    chat.items_made = 1
    example = {**vars(next(iter(EXAMPLES.values()))), "output": "另一个回答，说的是别的。"}
    near = {**item(2), "instruction": item(2)["instruction"][:-3] + "完全变"}
    chat.acts.append(say(json.dumps([near, example, item(3)])))
    report = crawls(4)
    assert [one["instruction"] for one in lines(out)] == [
        item(number)["instruction"] for number in range(4)
    ]
    assert report.rejected == {"duplicate": 4}


def test_similarity_is_rouge_l_f1_of_characters() -> None:
    from model_prep.crawl.filter import is_similar

    # "abcdef" and "abxdefgh": the longest common subsequence is abdef, 2·5 / (6 + 8) = 0.714…
    assert is_similar("abxdefgh", ["abcdef"], 0.71)
    assert not is_similar("abxdefgh", ["abcdef"], 0.72)
    assert not is_similar("abc", [], 0.1)
    assert is_similar("abc", ["abc"], 1.0)


@pytest.mark.slow
def test_more_than_wanted_is_not_written(crawls: Crawls, chat: Chat, out: Path) -> None:
    chat.acts = [say(json.dumps([item(number) for number in range(9)]))]
    assert crawls(4).rejected == {"more than wanted": 5}
    assert len(lines(out)) == 4
