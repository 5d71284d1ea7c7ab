import random

import pytest

from rag_app.documents.encodings.detection import decode
from rag_app.documents.encodings.garbage import (
    holds_lone_letters,
    holds_lost_letters,
    torn_runs,
    without_garbage,
    without_strays,
)
from rag_app.documents.extraction import extract
from rag_app.errors import DocumentError
from tests.rag_app.documents import making


def test_a_piece_of_a_binary_file_at_the_end_is_left_out_and_said() -> None:
    garbage = bytes(chance for chance in random.Random(3).randbytes(300) if chance > 31)
    text = (making.POLICY + "\n") * 100
    read = extract(text.encode() + garbage, "text", "a.txt")
    assert read.text.startswith(text.rstrip())
    assert len(read.text) < len(text) + 60
    (note,) = read.notes
    assert "damaged" in note


@pytest.mark.parametrize("piece", ["gW؛\ufffd", "|?\ufffd("])
def test_a_short_piece_behind_the_last_sentence_is_left_out(piece: str) -> None:
    assert without_strays(f"会议已开。{piece}", "\ufffd") == "会议已开。\ufffd"
    assert without_strays("电话：\ufffd8110", "\ufffd").startswith("电话：")


@pytest.mark.parametrize("codec", ["utf-16", "big5"])
def test_a_text_of_which_most_is_damaged_is_refused(codec: str) -> None:
    damaged = bytearray(making.TRADITIONAL.encode(codec))
    chance = random.Random(5)
    for _ in range(45):
        damaged[chance.randrange(2, len(damaged))] ^= 1 << chance.randrange(8)
    with pytest.raises(DocumentError):
        decode(bytes(damaged), "a.txt")


@pytest.mark.parametrize(
    "text",
    [
        "靺鞨、黑水靺鞨与粟末靺鞨，后为渤海；犛牛、猰貐、饕餮、夔、狻猊、螭吻。",
        "质量★★★，服务★★，①甲②乙，→丙，℃与℉，约½。",
        "ā á ǎ à 是阿的四声，邯hán郸dān，ǖ ǘ ǚ ǜ 是吁。",
        "大韓民國은 民主共和國이다. 國民의 權利와 義務를 法律로 定한다.",
        "Łódź leży nad rzeką; ő és ű; Đặng Thị Ngọc Thịnh; თბილისი; हिन्दी; αβγ",
        "直径Ø20，波长10Å，Élan牌，café店，5µm，à la carte，é 是声母，ü的发音，Ü。",
        "│姓名│年龄│\n├──┼──┤\n│张三│ 41 │",
    ],
)
def test_rare_text_is_text(text: str) -> None:
    assert without_garbage(text, "") == text
    assert not holds_lone_letters("".join(text.split()))


def test_codes_of_a_damaged_map_amid_text() -> None:
    assert holds_lone_letters("公司ĝĞĎ须ğĠ全ġ加Ģ，ģĤ五分钟无ĥ作自动Ħ定")
    assert holds_lone_letters("的70ÍÎÏ。Ð假为10天，Ñ假为15Ò天，ÓÑ假为15天。ÔÕ三周Ö以前")
    assert holds_lone_letters("字太白，号用㬥쑕躿億뵴誰，五岁随父迁居")


def test_lost_characters_among_letters_of_one_byte_are_a_torn_map() -> None:
    assert holds_lost_letters("x@à(\ufffd¹I\ufffdáK|\ufffdh±,\ufffdháÄKóÝ\ufffd\ufffd;¨K")
    assert not holds_lost_letters("Résumé:l’été\ufffdàlaplage,naïveetgarçon\ufffdcafé\ufffdnoël")
    assert not holds_lost_letters("x\ufffd=\ufffdy\ufffd+\ufffd\ufffd,\ufffdz")


def test_characters_that_only_damage_makes_are_left_out_of_damaged_text() -> None:
    text = making.POLICY + making.BIOGRAPHY
    damaged = text.encode()[:300] + b"\xe5" + text.encode()[300:]
    for char in "厊퍁あ":
        read, _ = decode(damaged + f"，面积{char}大。".encode(), "a.txt")
        assert char not in read
        assert read.count("\ufffd") == 2
        assert char in decode((text + f"，面积{char}大。").encode(), "a.txt")[0]
    assert decode(damaged + "犛牛，犛牛。".encode(), "a.txt")[0].endswith("犛牛，犛牛。")


@pytest.mark.parametrize(("at", "bit"), [(0, 7), (1, 7), (0, 5), (1, 6), (2, 7)])
def test_a_flipped_bit_of_utf8_costs_its_character_only(at: int, bit: int) -> None:
    damaged = bytearray(f"城市{making.POLICY}".encode())
    damaged[3 + at] ^= 1 << bit
    text, codec = decode(bytes(damaged), "a.txt")
    assert codec == "utf-8"
    assert "".join(filter(str.isprintable, text)).replace("\ufffd", "") == f"城{making.POLICY}"


def test_codes_before_and_behind_lost_bytes_at_the_ends_of_a_text() -> None:
    text = making.POLICY * 3
    assert (
        decode(b"AvzG\xff" + text.encode() + b"\xff5e*sms\xfe", "a.txt")[0].strip("\ufffd") == text
    )
    damaged = b"\x14\xb0\xad\x95d>\x01# " + text.encode()
    assert decode(damaged, "a.md")[0].startswith("\ufffd# ")
    for codes in (b"\xfe/vt", b",\xfez"):
        assert decode(codes + text.encode(), "a.txt")[0] == f"\ufffd{text}"
    assert decode(b"\xfe12" + "月".encode() + text.encode(), "a.txt")[0].startswith("\ufffd12月")


def test_private_characters_and_signs_amid_damaged_text_are_left_out() -> None:
    text = "会议在\ufffd三。请准\ue5f6时到，地点在二✈楼。"
    assert without_strays(text, "\ufffd") == "会议在\ufffd三。请准\ufffd时到，地点在二\ufffd楼。"


def test_unlike_characters_beside_each_other_are_codes_read_too_late() -> None:
    assert torn_runs("开始计算。譵ѹ螶㴅ⓐ请假") == [(5, 10)]
    torn = "李白（p̀̕\ue742ŀͰ̥͠\ue74f\uf09f\uf0c5땵用㬥쑕흎뫿ಈ"
    assert torn_runs(f"{torn}，员工每年享有十五天带薪年假。") == [(4, len(torn))]
    beside = f"员工毵鲸먗륳뽵，请假。{torn}，" + "员工每年享有十五天带薪年假。" * 3
    assert torn_runs(beside)[0] == (4, 7)
    for text in ("李囍，김철수", "ðəˈθɪŋ", "αβγδ与龘", "龘靐齉齾四字", "한국대학교龘"):
        assert torn_runs(text) == []
