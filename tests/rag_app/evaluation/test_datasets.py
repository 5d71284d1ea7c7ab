"""The formats of question sets, and what is said of files that are none."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from rag_app.errors import DocumentError
from rag_app.evaluation.datasets import Dataset, drawn, read_dataset
from tests.paths import CORPUS

DEATH = "宝应元年（762年），李白病逝于当涂。"
BIRTH = "杜甫生于巩县。"


def written(path: Path, *rows: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def squad(*paragraphs: Any, **article: Any) -> dict[str, Any]:
    return {"version": "1", "data": [{"paragraphs": list(paragraphs), **article}]}


def paragraph(text: str, question: str, *answers: str, **more: Any) -> dict[str, Any]:
    asked = {"id": f"{question}!", "question": question, **more}
    asked["answers"] = [{"text": answer, "answer_start": 0} for answer in answers]
    return {"context": text, "qas": [asked]}


def texts_of(dataset: Dataset, place: int) -> list[str]:
    texts = {passage.file_name: passage.text for passage in dataset.passages}
    return [texts[name] for name in dataset.questions[place].relevant]


def test_squad(tmp_path: Path) -> None:
    first = paragraph(DEATH, "李白在哪里去世？", "当涂", "当涂", "于当涂")
    second = paragraph(BIRTH, "杜甫享年多少？", "五十九", is_impossible=True)
    path = written(tmp_path / "set.json", squad(first, second, title="诗人/poets"))
    dataset = read_dataset(path)
    assert (dataset.kind, len(dataset.passages)) == ("SQuAD", 2)
    one, other = dataset.questions
    assert (one.answers, texts_of(dataset, 0)) == (("当涂", "于当涂"), [DEATH])
    assert (other.answerable, other.answers) == (False, ())
    names = [passage.file_name for passage in dataset.passages]
    assert len(set(names)) == 2
    assert all("/" not in name for name in names)


def test_cmrc_in_its_own_format(tmp_path: Path) -> None:
    asked = {"query_id": "q", "query_text": "哪里？", "answers": ["当涂", "当涂", 147.0]}
    row = {"context_id": "T_0", "context_text": DEATH, "qas": [asked], "title": "李白"}
    path = tmp_path / "cmrc.json"
    path.write_text(json.dumps([row]), encoding="utf-8")
    dataset = read_dataset(path)
    assert dataset.questions[0].answers == ("当涂", "147")
    assert texts_of(dataset, 0) == [DEATH]


def test_rgb_and_its_noise(tmp_path: Path) -> None:
    rows = [
        {"id": 0, "query": "李白在哪里去世？", "answer": "当涂",
         "positive": [DEATH, "李白卒于当涂。"], "negative": [BIRTH] * 2 + ["王维。", "孟浩然。"]},
        {"id": 1, "query": "两位诗人？", "answer": ["李白", ["杜甫", "杜子美"]],
         "positive": [["李白和杜甫。"], ["李白，杜子美。"]], "negative": [BIRTH]},
    ]  # fmt: skip
    path = written(tmp_path / "rgb.json", *rows)
    dataset = read_dataset(path)
    first, second = dataset.questions
    assert texts_of(dataset, 0) == [DEATH, "李白卒于当涂。"]
    assert len(dataset.passages) == 7  # what two questions share is one document
    assert second.is_in("杜子美与李白")
    assert not second.is_in("李白")
    assert second.answers == ("李白、杜甫", "李白、杜子美")
    silent = read_dataset(path, noise=1.0)
    assert not any(question.answerable for question in silent.questions)
    assert {passage.text for passage in silent.passages} == {BIRTH, "王维。", "孟浩然。"}
    assert len(read_dataset(path, noise=0.6).questions[0].relevant) == 2
    assert first.text == silent.questions[0].text


def beir(folder: Path) -> Path:
    written(folder / "corpus.jsonl", {"_id": "d1", "title": "李白", "text": DEATH},
            {"_id": "d/2", "title": "", "text": BIRTH})  # fmt: skip
    written(folder / "queries.jsonl", {"_id": "q1", "text": "诗人？"},
            {"_id": "q2", "text": "没有人评过"})  # fmt: skip
    lines = ["query-id\tcorpus-id\tscore", "q1\td1\t1", "q1\td/2\t2", "q2\td1\t0"]
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_beir(tmp_path: Path) -> None:
    dataset = read_dataset(beir(tmp_path / "set"))
    (question,) = dataset.questions
    assert (question.answerable, question.answers) == (True, ())
    assert list(question.relevant.values()) == [1, 2]
    assert texts_of(dataset, 0) == [f"李白\n{DEATH}", BIRTH]
    with pytest.raises(DocumentError, match=r"no qrels/dev\.tsv"):
        read_dataset(tmp_path / "set", split="dev")


def test_beir_as_others_write_it(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    corpus = [{"id": "d1", "text": DEATH}, {"id": 2, "title": None, "text": BIRTH}]
    for name, rows in (("corpus", corpus), ("queries", [{"id": "q1", "text": "李白？"}])):
        lines = "".join(f"{json.dumps(row)}\n" for row in rows)
        (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (folder / "qrels.tsv").write_text("q1 0 d1 1.0\r\nq1 0 2 0.5\nq1 0 gone 1\n")  # as TREC's
    dataset = read_dataset(folder)
    assert [*dataset.questions[0].relevant.values()] == [1, 1]
    assert "1 relevant documents are not in corpus.jsonl.gz, such as ['gone']" in dataset.notes
    (folder / "qrels").mkdir()
    judged = '{"query-id": "q1", "corpus-id": "2", "score": 2}\n'
    (folder / "qrels" / "dev.jsonl").write_text(judged)
    assert [*read_dataset(folder, split="dev").questions[0].relevant.values()] == [2]
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(b"{}")[:-4])
    with pytest.raises(DocumentError, match="is damaged"):
        read_dataset(folder, split="dev")


def test_squad_as_others_write_it(tmp_path: Path) -> None:
    said, about = {"text": ["当涂", "当涂"], "answer_start": [1, 1]}, {"context": DEATH}
    lines = written(tmp_path / "lines.jsonl",
                    {"id": "a", **about, "question": "哪里？", "answers": said},
                    {"id": "b", **about, "question": "谁？", "answers": {"text": []}})  # fmt: skip
    first, second = read_dataset(lines).questions
    assert (first.answers, second.answerable) == (("当涂",), False)
    assert texts_of(read_dataset(lines), 0) == [DEATH]
    bare = {"context": DEATH, "qas": [{"question": "哪里？", "answers": ["当涂"]},
                                      {"question": "谁？"}]}  # fmt: skip
    first, second = read_dataset(written(tmp_path / "bare.json", squad(bare))).questions
    assert (first.id, first.answers, second.id, second.answerable) == ("1", ("当涂",), "2", False)


def test_whether_there_is_an_answer_is_said_or_noted(tmp_path: Path) -> None:
    path = written(tmp_path / "mine.jsonl", {"question": "甲？", "answerable": True},
                   {"question": "乙？", "answers": None}, {"question": "丙？"})  # fmt: skip
    dataset = read_dataset(path)
    assert [one.answerable for one in dataset.questions] == [True, False, False]
    assert "1 questions have neither" in dataset.notes[0]
    assert "line 3" in dataset.notes[0]
    foreign = written(tmp_path / "foreign.jsonl", {"question": "甲？", "ground_truth": "乙"})
    with pytest.raises(DocumentError, match="but ground_truth; rename"):
        read_dataset(foreign)
    wrapped = tmp_path / "wrapped.json"
    wrapped.write_text(json.dumps({"questions": [{"question": "a", "answer": "b"}]}, indent=1))
    assert read_dataset(wrapped).questions[0].answers == ("b",)


def test_questions_of_ones_own(tmp_path: Path) -> None:
    path = written(tmp_path / "mine.jsonl", {"question": "哪里？", "answer": "当涂"},
                   {"question": "何时？", "answers": ["762年"], "document": "a/li.txt", "id": "x"},
                   {"question": "谁？", "answerable": False},
                   {"summary": "李白去世。", "document": "li.txt", "split": "dev"})  # fmt: skip
    first, second, third, fourth = read_dataset(path).questions
    assert (first.id, first.answers, first.relevant) == ("1", ("当涂",), {})
    assert (second.id, dict(second.relevant)) == ("x", {"a/li.txt": 1})
    assert not third.answerable
    assert (fourth.summary, fourth.split) == ("李白去世。", "dev")
    assert len(read_dataset(path, split="dev").questions) == 1
    with pytest.raises(DocumentError, match="no question of the split 'train'"):
        read_dataset(path, split="train")
    assert len(read_dataset(CORPUS / "questions.jsonl").questions) > 100


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\x00\x01GGUF", "is binary"),
        ('{"question": "哪里？"}\n{"question": "谁？"}'.encode("gb18030"), ":1 is not UTF-8"),
        (b'{"question": "a", "answer": "b"}\n{"question": ', ":2 is not a question: no JSON"),
        (b'{"question": "a", "answer": "b"}\n\n[1]', ":3 is not a question: no JSON object"),
        (b'{"question": "a", "answer": "b"}\n{"answer": "b"}', ":2 is not a question"),
        (b'{"question": "a", "answers": "b"}', ":1 is not a question"),
        (b'{"question": "a", "answers": [1]}', ":1 is not a question"),
        (b'{"summary": "a"}', "needs its `document`"),
        (b'{"query": "a", "positive": 1}', ":1 is not a line of RGB's"),
        (b'{"data": [{"title": "a"}]}', "is not in SQuAD's format"),
        (b'{"data": []}', "holds no question"),
        (b'[{"context_text": "a"}]', "is not in CMRC 2018's format"),
        (b"[1]", "item 1 is not a JSON object"),
        (b'{"question": "a", "id": 1}\n{"question": "b", "id": 1}', "two questions"),
        (b"Not JSON at all.", ":1 is not a question"),
    ],
)
def test_what_is_no_question_set_is_said(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "set.json"
    path.write_bytes(data)
    with pytest.raises(DocumentError) as error:
        read_dataset(path)
    assert said in str(error.value)
    assert str(path) in str(error.value)


def test_a_missing_file_and_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="can't be read"):
        read_dataset(tmp_path / "none.json")
    with pytest.raises(DocumentError, match=r"no qrels/test\.tsv"):
        read_dataset(tmp_path)


def test_answers_that_the_passages_lack(tmp_path: Path) -> None:
    right = paragraph(DEATH, "哪里？", "当涂")
    wrong = paragraph(BIRTH, "何处？", "洛阳")
    some = read_dataset(written(tmp_path / "some.json", squad(right, wrong)))
    assert "1 of 2 answers" in some.notes[0]
    blank = paragraph(BIRTH, " ", "巩县")
    noted = read_dataset(written(tmp_path / "blank.json", squad(right, blank)))
    assert "empty and can't be asked: 1" in noted.notes[0]
    with pytest.raises(DocumentError, match="no answer"):
        read_dataset(written(tmp_path / "none.json", squad(wrong)))


def test_a_sample_is_of_whole_documents_and_grows(tmp_path: Path) -> None:
    rows = [
        {"question": f"{place}？", "answer": "a", "document": f"{place // 3}.txt"}
        for place in range(30)
    ]
    questions = read_dataset(written(tmp_path / "set.jsonl", *rows)).questions
    six, twelve = (drawn(questions, limit, seed=1) for limit in (6, 12))
    assert len({question.document for question in six}) == 2
    assert {question.id for question in six} < {question.id for question in twelve}
    assert [int(question.id) for question in twelve] == sorted(int(one.id) for one in twelve)
    assert drawn(questions, 6, seed=2) != six
    assert drawn(questions, None, seed=1) == list(questions)
