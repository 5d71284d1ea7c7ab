"""Real Chinese and English lines: the project's own, and those of the test data if it is there."""

import json
import re

from tests.paths import CORPUS, ROOT, TEST_DATA


def corpus_lines() -> list[str]:
    """Sentences of the example documents."""
    files = sorted(file for file in CORPUS.iterdir() if file.suffix in {".md", ".txt"})
    texts = (file.read_text("gb18030" if "gbk" in file.name else "utf-8") for file in files)
    sentences = (re.split(r"(?<=[。！？])|\n", text) for text in texts)
    return [sentence for each in sentences for sentence in each if sentence.strip()]


def english_lines() -> list[str]:
    """The paragraphs of the licence."""
    return (ROOT / "LICENSE").read_text(encoding="utf-8").split("\n\n")


def news_lines() -> list[str]:
    """Articles, of the test data or else sentences of the example documents."""
    file = TEST_DATA / "news" / "news_2023.txt"
    return file.read_text(encoding="utf-8").split("\n") if file.is_file() else corpus_lines()


def questions_and_passages() -> tuple[list[str], list[str]]:
    """Questions and the passages they are about, of the test data or else of the examples."""
    file = TEST_DATA / "cmrc2018" / "cmrc2018_trial.json"
    if not file.is_file():
        lines = (CORPUS / "questions.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line)["question"] for line in lines], corpus_lines()
    articles = json.loads(file.read_text(encoding="utf-8"))["data"]
    passages = [passage for article in articles for passage in article["paragraphs"]]
    questions = [qa["question"] for passage in passages for qa in passage["qas"]]
    return questions, [passage["context"] for passage in passages]
