import pytest

from rag_app.documents.pdf import join_lines

HYPHEN = "\u2010"


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["李白是唐代的著名诗", "人，被称为诗仙。"], "李白是唐代的著名诗人，被称为诗仙。"),
        (["李白是唐代的著名诗", "人。他在长安。", "后来离开了。"],
         "李白是唐代的著名诗人。他在长安。\n后来离开了。"),
        (["李白是唐代的诗人。", "他后来离开长安。"], "李白是唐代的诗人。他后来离开长安。"),
        (["李白是唐代的著名诗人", "", "杜甫也是"], "李白是唐代的著名诗人\n\n杜甫也是"),
        (["标题", "李白是唐代的著名诗", "人。"], "标题\n李白是唐代的著名诗人。"),
        (["本规定适用于全体员工", "第三章 总则", "一、目的与适用的范围", "（二）依据和一些说明"],
         "本规定适用于全体员工\n第三章 总则\n一、目的与适用的范围\n（二）依据和一些说明"),
        (["总共使用的金额是人民币", "2024年的三倍"], "总共使用的金额是人民币2024年的三倍"),
        (["the moon and the", "river in autumn"], "the moon and the river in autumn"),
        ([f"the moon and riv{HYPHEN}", "ers in autumn"], "the moon and rivers in autumn"),
        ([f"the years of 1999{HYPHEN}", "2004 in autumn"], "the years of 1999-2004 in autumn"),
        (["the years of 1999-", "2004 in autumn"], "the years of 1999-2004 in autumn"),
        (["我们使用 LangChain", "和 FAISS 检索"], "我们使用 LangChain和 FAISS 检索"),
        (["  ", "", "甲", " ", "", "乙"], "甲\n\n乙"),
        ([], ""),
    ],
    ids=range(14),
)  # fmt: skip
def test_lines_of_a_page_become_paragraphs(lines: list[str], text: str) -> None:
    assert join_lines(lines) == text
