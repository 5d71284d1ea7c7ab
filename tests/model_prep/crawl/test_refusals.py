"""Preference pairs made of passages: right answers, and refusals beside what is invented."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from model_prep.crawl.report import CrawlReport
from model_prep.errors import OutputError, UsageError
from model_prep.training.dataset_files import Problems
from model_prep.training.preference.pairs import read_pairs
from rag_app.chains.prompts import NO_ANSWER, Prompts
from rag_app.documents.text import Language
from tests.model_prep.crawl.chat_server import Act, Chat, Handler, fail, say
from tests.model_prep.crawl.conftest import Crawls, lines, run

PASSAGES = [
    "李白是唐代的诗人，字太白，号青莲居士，被后人称为诗仙，一生写下近千首诗。",
    "杜甫是唐代的诗人，字子美，自号少陵野老，被后人称为诗圣，与李白齐名于世。",
    "洗衣机的整机保修期为三年，电机的保修期为十年，请凭发票到服务网点办理保修。",
]
DRAFTS = {
    "李白是": ("李白的字是什么？", "太白"),
    "杜甫是": ("杜甫自号什么？", "少陵野老"),
    "洗衣机": ("洗衣机的电机保修多久？", "十年"),
}


def speak(invented: str) -> Act:
    """Draft the question of a passage; answer any other prompt with the same words."""

    def act(handler: Handler, body: dict[str, Any]) -> None:
        asked = body["messages"][-1]["content"]
        if "出一道问答题" in asked:
            begin = next(begin for begin in DRAFTS if f"资料：\n{begin}" in asked)
            question, answer = DRAFTS[begin]
            say(f"问题：{question}\n答案：{answer}。")(handler, body)
        else:
            say(invented)(handler, body)

    return act


@pytest.fixture
def passages(tmp_path: Path) -> Path:
    return write(tmp_path / "passages.jsonl", [{"text": text} for text in PASSAGES])


def write(file: Path, values: list[Any]) -> Path:
    text = "\n".join(json.dumps(value, ensure_ascii=False) for value in values)
    file.write_text(text, encoding="utf-8")
    return file


def test_right_answers_and_refusals(chat: Chat, crawls: Crawls, passages: Path) -> None:
    chat.otherwise = speak("一百年")
    report = crawls(6, passages=passages)
    assert (report.kept, report.total, dict(report.rejected)) == (6, 6, {})
    assert chat.formats == [None] * 6  # three drafts, three answers beside the passage
    found = lines(crawls.out)
    for number in range(0, 6, 2):
        right: dict[str, Any] = found[number]
        near: dict[str, Any] = found[number + 1]
        assert (right["kind"], near["kind"]) == ("answerable", "near-miss")
        assert right["rejected"] == near["chosen"] == NO_ANSWER["zh"]
        assert right["chosen"] in right["prompt"][-1]["content"]
        assert right["chosen"] not in near["prompt"][-1]["content"]
        assert near["rejected"] == "一百年"
    prompts = [str(pair["prompt"]) for pair in found]
    poets = [prompt for prompt in prompts if "李白的字" in prompt]
    assert "杜甫" in poets[1]  # the nearest passage, not the washing machine
    pairs = list(read_pairs([crawls.out], None, Problems()))
    assert [pair.rejected for pair in pairs] == [pair["rejected"] for pair in found]


def test_the_prompt_is_the_one_that_rag_app_asks_with(
    chat: Chat, crawls: Crawls, tmp_path: Path
) -> None:
    english = [f"The tower number {n} was built in the year {1800 + n} by a mason." for n in (1, 2)]
    languages: dict[Language, list[str]] = {"zh": PASSAGES, "en": english}
    for language, texts in languages.items():
        chat.otherwise = speak("?")
        if language == "en":
            chat.otherwise = say(
                "Question: When was tower number one built?\nAnswer: the year 1801"
            )
        crawls.out = tmp_path / f"{language}.jsonl"
        file = write(tmp_path / f"passages-{language}.jsonl", [{"text": text} for text in texts])
        crawls(9, passages=file)
        pair: dict[str, Any] = lines(crawls.out)[0]
        question = re.split("问题：|Question: ", pair["prompt"][-1]["content"])[-1]
        (text,) = (text for text in texts if text in pair["prompt"][-1]["content"])
        expected = Prompts().messages("answer", language, context=text, question=question)
        assert [message["content"] for message in pair["prompt"]] == [
            message.content for message in expected
        ]
        assert pair["rejected"] == NO_ANSWER[language]


@pytest.mark.parametrize("said", ["资料中没有提到。", "", "文中未提及"])
def test_what_refuses_already_is_no_bad_example(
    chat: Chat, crawls: Crawls, passages: Path, said: str
) -> None:
    chat.otherwise = speak(said)
    crawls(6, passages=passages)
    near = {pair["rejected"] for pair in lines(crawls.out) if pair["kind"] == "near-miss"}
    assert near == {"太白", "少陵野老", "十年"}


@pytest.mark.parametrize(
    ("draft", "reason"),
    [
        ("我不会。", "draft in another form"),
        ("问题：谁是诗仙？\n答案：苏轼", "answer not in the passage"),
        ("问题：唐代的诗人是谁？\n答案：唐代", "question holds its answer, or is too short"),
        ("问题：资料里说的诗人生活在什么朝代？\n答案：唐代", "question points at the text"),
    ],
)
def test_bad_drafts_are_counted(
    chat: Chat, crawls: Crawls, tmp_path: Path, draft: str, reason: str
) -> None:
    chat.otherwise = say(draft)
    poets = write(tmp_path / "poets.jsonl", [{"text": text} for text in PASSAGES[:2]])
    report = crawls(6, passages=poets)
    assert dict(report.rejected) == {reason: 2}
    assert crawls.notes == [f"no passage is left: {poets} gave 0 pairs"]


def test_it_goes_on_with_the_passages_that_are_left(
    chat: Chat, crawls: Crawls, passages: Path
) -> None:
    chat.otherwise = speak("一百年")
    crawls(2, passages=passages)
    with crawls.out.open("ab") as file:
        file.write(b'{"prompt": [{"role"')  # what a kill leaves
    report: CrawlReport = crawls(9, passages=passages)
    assert (report.at_start, report.kept, report.cut_off) == (2, 4, 19)
    assert len({pair["passage"] for pair in lines(crawls.out)}) == 3


def test_a_file_of_something_else_is_left_alone(chat: Chat, crawls: Crawls, passages: Path) -> None:
    crawls(2)
    before = crawls.out.read_bytes()
    with pytest.raises(OutputError, match=r"line 1 of .* is not a pair of this command"):
        crawls(2, passages=passages)
    assert crawls.out.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        ("x", "not JSONL with a text"),
        ("[1]", "not JSONL with a text"),
        ('{"title": "x"}', "not JSONL with a text"),
        ('{"text": "short"}', "holds 0 passages"),
    ],
)
def test_passages_that_are_none(
    chat: Chat, crawls: Crawls, tmp_path: Path, content: str | None, said: str
) -> None:
    file = tmp_path / "passages.jsonl"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=said):
        crawls(2, passages=file)


def test_errors_of_the_server_are_told(chat: Chat, out: Path, passages: Path) -> None:
    chat.otherwise = fail(404, "no such model")
    done = run(out, "--passages", passages, "--base-url", chat.url)
    assert done.exit_code == 1
    assert "check --base-url" in done.stderr.splitlines()[-1]


QUESTIONS = [
    {"question": "李白的字是什么？", "answer": "太白", "split": "dev"},
    {"question": "李白姓什么？", "answers": ["李", "Li"], "answerable": True, "split": "dev"},
    {"question": "洗衣机多少钱？", "answers": [], "answerable": False, "split": "dev"},
    {"question": "杜甫的父亲是谁？", "answer": "", "answerable": False, "split": "test"},
]


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    return write(tmp_path / "questions.jsonl", QUESTIONS)


def test_questions_of_ones_own(chat: Chat, crawls: Crawls, passages: Path, questions: Path) -> None:
    chat.otherwise = speak("一百元")
    crawls(9, passages=passages, questions=questions, split="dev")
    assert crawls.notes == [f"no question is left: {questions} gave 5 pairs"]
    made: list[dict[str, Any]] = lines(crawls.out)
    found = {(pair["prompt"][-1]["content"], pair["chosen"]) for pair in made}
    refusal = NO_ANSWER["zh"]

    def pair(question: str, text: str, chosen: str) -> tuple[Any, str]:
        prompt = Prompts().messages("answer", "zh", context=text, question=question)
        return prompt[-1].content, chosen

    li_bai, du_fu, washer = PASSAGES
    assert found == {
        pair("李白的字是什么？", li_bai, "太白"),
        pair("李白的字是什么？", du_fu, refusal),
        pair("李白姓什么？", li_bai, "李"),
        pair("李白姓什么？", washer, refusal),  # both poets' passages hold the answer
        pair("洗衣机多少钱？", washer, refusal),
    }
    assert {pair["rejected"] for pair in lines(crawls.out)} == {refusal, "一百元"}


def test_a_question_that_is_refused_already_teaches_nothing(
    chat: Chat, crawls: Crawls, passages: Path, questions: Path
) -> None:
    chat.otherwise = speak("资料中没有提到。")
    report = crawls(9, passages=passages, questions=questions, split="test")
    assert (report.total, dict(report.rejected)) == (0, {"refused already": 1})


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        ({"question": "白居易的字是什么？", "answer": "乐天"}, "answer in no passage"),
        ({"question": "Who is called 太白?", "answer": "太白"}, None),
        ({"question": "What is Li Bai's courtesy name?", "answer": "太白"}, "in another language"),
    ],
)
def test_answers_that_stand_nowhere(
    chat: Chat,
    crawls: Crawls,
    passages: Path,
    tmp_path: Path,
    question: dict[str, str],
    reason: str | None,
) -> None:
    chat.otherwise = speak("一百年")
    file = write(tmp_path / "own.jsonl", [question])
    report = crawls(9, passages=passages, questions=file)
    if reason is None:
        assert report.total == 2
    else:
        assert report.total == 0
        assert reason in next(iter(report.rejected))


@pytest.mark.parametrize(
    ("content", "split", "said"),
    [
        (None, None, "No such file"),
        ("x", None, "not JSONL of questions"),
        ("[1]", None, "not JSONL of questions"),
        ('{"text": "x"}', None, "not JSONL of questions"),
        ('{"question": 1, "answer": "x"}', None, "not JSONL of questions"),
        ('{"question": "x", "answers": [], "split": "dev"}', "test", "no question of the split"),
    ],
)
def test_questions_that_are_none(
    chat: Chat,
    crawls: Crawls,
    passages: Path,
    tmp_path: Path,
    content: str | None,
    split: str | None,
    said: str,
) -> None:
    file = tmp_path / "own.jsonl"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=said):
        crawls(2, passages=passages, questions=file, split=split)


def test_questions_need_passages(crawls: Crawls, questions: Path) -> None:
    with pytest.raises(UsageError, match="--passages"):
        crawls(2, questions=questions)
    with pytest.raises(UsageError, match="--questions"):
        crawls(2, split="dev")
