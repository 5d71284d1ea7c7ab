"""Excerpts: which sentences of passages are read for a question."""

from collections.abc import Sequence

import numpy as np

from rag_app.index.search.excerpts import excerpts
from rag_app.models.embeddings.base import DocumentEmbeddings, FloatArray

BETWEEN = "剑南的春天来得早。江边的柳树都绿了。城里的人都出门踏青。"
LIFE = (
    "李白少年时读书剑。二十五岁他离开蜀地。"
    f"{BETWEEN}宝应元年，他投奔族叔。李白病逝于当涂，葬在龙山。后人立了祠。{BETWEEN}"
)


def test_the_sentence_with_rare_terms_and_its_neighbours() -> None:
    found = excerpts("李白葬在哪座山？", [LIFE], 30)
    assert found == {0: "…宝应元年，他投奔族叔。李白病逝于当涂，葬在龙山。后人立了祠。"}


def test_what_is_left_out_between_is_marked() -> None:
    found = excerpts("李白少年时做什么，葬在哪座山？", [LIFE], 50)[0]
    assert "李白少年时读书剑。" in found
    assert "葬在龙山" in found
    assert "…" in found


def test_the_name_of_all_that_is_said_takes_no_room_from_what_is_asked() -> None:
    named = "大果西番莲又名大西番莲。大果西番莲是西番莲属的植物。"
    plant = f"{named}{BETWEEN}它的根部可以催吐。{BETWEEN}"
    assert "根部可以催吐" in excerpts("大果西番莲的根部有什么作用？", [plant], 40)[0]


def test_what_a_passage_is_about_takes_no_room_from_what_is_asked() -> None:
    fish = f"蓝线裸顶鲷又称龙尖，是裸顶鲷的一种。{BETWEEN}本鱼呈银灰色。常以小鱼为食。{BETWEEN}"
    assert "常以小鱼为食" in excerpts("蓝线裸顶鲷以什么为食？", [fish], 20)[0]
    assert "又称龙尖" in excerpts("蓝线裸顶鲷又称什么？", [fish], 20)[0]


def test_what_overlapping_passages_share_is_read_once() -> None:
    shared = "李白病逝于当涂，葬在龙山。"
    found = excerpts("李白葬在哪座山？", [f"{BETWEEN}{shared}", f"{shared}后人立了祠。"], 40)
    assert "".join(found.values()).count(shared) == 1


def test_of_a_long_sentence_the_clauses_that_bear_on_it() -> None:
    clauses = [
        f"第{number}个节目在星期{number % 7}的上午播出了一年又{number}个月" for number in range(12)
    ]
    found = excerpts(
        "《魔神大战》何时播出？", ["，".join([*clauses, "《魔神大战》播到最后", *clauses])], 80
    )[0]
    assert "《魔神大战》播到最后" in found
    assert len(found) < 120


def test_a_number_and_a_name_as_they_are_written() -> None:
    manual = f"{BETWEEN}显示E21时请清洗过滤器。{BETWEEN}显示E4时请停机。{BETWEEN}"
    assert "清洗过滤器" in excerpts("E21怎么办？", [manual], 30)[0]


def test_a_row_has_the_head_of_its_table() -> None:
    rows = "".join(f"| 第{number}店 | {number}万元 |\n" for number in range(1, 12))
    found = excerpts("第9店的收入是多少？", [f"| 门店 | 收入 |\n{rows}"], 40)[0]
    assert found.splitlines()[0] == "| 门店 | 收入 |"
    assert "| 第9店 | 9万元 |" in found
    assert "| 第3店 |" not in found


def test_a_later_passage_may_answer() -> None:
    found = excerpts("李白葬在哪座山？", [BETWEEN, LIFE], 40)
    assert [*found] == [1]


def test_a_passage_that_is_less_relevant_counts_for_less() -> None:
    question = "李白葬在哪座山，祠是哪年立的？"
    passages = [f"{BETWEEN}李白葬在龙山。", f"{BETWEEN}祠立于宝应三年。"]
    both = excerpts(question, passages, 60, None, [0.9, 0.9])
    assert {*both} == {0, 1}
    assert {*excerpts(question, passages, 60, None, [0.9, 0.3])} == {0}
    assert excerpts(question, passages, 60, None, [None, 0.3]) == both


def test_meaning_tells_where_words_do_not() -> None:
    class Meaning(DocumentEmbeddings):
        def embed_array(self, texts: Sequence[str]) -> FloatArray:
            dies = [any(word in text for word in ("病逝", "去世")) for text in texts]
            return np.array([[one, not one] for one in dies], np.float32)

    assert excerpts("怎样去世的？", [LIFE], 15) == {}
    assert excerpts("怎样去世的？", [LIFE], 15, Meaning()) == {0: "…李白病逝于当涂，葬在龙山。"}


def test_english_sentences() -> None:
    text = "Tea is old. Version 2.3 of the kettle boils at 96.5 degrees. It whistles. Cups are red."
    found = excerpts("At which degrees does version 2.3 boil?", [text], 50)
    assert found == {0: "… Version 2.3 of the kettle boils at 96.5 degrees."}


def test_nothing_where_no_sentence_holds_a_term() -> None:
    assert excerpts("How deep is the tunnel?", [LIFE, BETWEEN], 100) == {}
    assert excerpts("李白？", [], 100) == {}
