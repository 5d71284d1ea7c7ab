import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_app.documents.encodings.detection import decode
from rag_app.errors import DocumentError
from tests.rag_app.documents.making import BIOGRAPHY, LAW, POLICY, TRADITIONAL

SIMPLIFIED = BIOGRAPHY + POLICY
OLD_STYLE = TRADITIONAL + LAW
UNICODE = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
CASES = [
    *((SIMPLIFIED, name) for name in [*UNICODE, "gbk", "gb18030"]),
    *((OLD_STYLE, name) for name in [*UNICODE, "big5", "cp950", "gbk", "gb18030"]),
]


@pytest.mark.parametrize(("text", "encoding"), CASES)
@pytest.mark.parametrize("length", [20, 80, 10_000])
def test_every_piece_of_the_corpus_is_decoded(text: str, encoding: str, length: int) -> None:
    whole = text * (1 + length // len(text))
    for start in range(0, len(text), 7):
        piece = whole[start : start + length]
        assert decode(piece.encode(encoding), "x")[0] == piece
        if length > len(text):
            break


@pytest.mark.parametrize(
    ("text", "written", "found"),
    [
        (BIOGRAPHY, "utf-8", "utf-8"),
        (BIOGRAPHY, "utf-8-sig", "utf-8-sig"),
        (BIOGRAPHY, "utf-16", "utf-16"),
        (BIOGRAPHY, "utf-16-le", "utf-16-le"),
        (BIOGRAPHY, "utf-16-be", "utf-16-be"),
        (BIOGRAPHY, "gbk", "gbk"),
        (BIOGRAPHY + "㐀𠀀", "gb18030", "gb18030"),
        (TRADITIONAL, "big5", "big5"),
        (TRADITIONAL + "恒生碁嫺", "cp950", "cp950"),
        (TRADITIONAL + "啲嘢係喺", "big5hkscs", "big5hkscs"),
        ("Plain English text.", "ascii", "utf-8"),
        ("Plain English text, and more of it.", "utf-16-le", "utf-16-le"),
        ("2024年 report: 3,200 units\n" * 3, "gbk", "gbk"),
        ("Où êtes-vous allés cet été? Le café noir est très bon.", "cp1252", "cp1252"),
        ("これは日本語の文章です。東京に住んでいます。", "shift_jis", "cp932"),
        (POLICY, "utf-7", "utf-7"),
        (POLICY, "utf-32-le", "utf-32-le"),
        ("型号 ABC-30\n", "utf-32-be", "utf-32-be"),
    ],
)
def test_the_encoding_is_named_as_python_reads_it(text: str, written: str, found: str) -> None:
    data = text.encode(written)
    assert decode(data, "x") == (text, found)
    assert decode(data, "x", found) == (text, found)


def test_simplified_chinese_of_seven_bits_is_read() -> None:
    low = bytes(byte & 0x7F for byte in "电话分机".encode("gb2312"))
    data = b"\x1b$)A\x0e" + low + b"\x0f 8110\n"
    assert decode(data, "x") == ("电话分机 8110\n", "iso2022_cn")
    assert decode(data, "x", "iso2022_cn")[0] == "电话分机 8110\n"


def test_encodings_that_are_not_read_are_named() -> None:
    with pytest.raises(DocumentError, match="is in ISO 2022, which is not read"):
        decode(b"\x1b$)G\x0eDcEm\x0f 8110\n", "x")
    # 臺北市立圖書館宣布，自下個月起延長 in EUC-TW
    han = "ead7c6a1c6cbc7a1e8b7d5f3f3a8d0e7c6cca1a2c8dcc4b6d4b6c5ccd8c4cdb7cfdb"
    with pytest.raises(DocumentError, match="is in EUC-TW, which is not read"):
        decode(bytes.fromhex(han), "x")


JAPANESE = "図書館は火曜日から日曜日まで開いています。駅前のビルの三階です。"
KOREAN = "회의는 삼월 구일 오후 두 시에 이층 회의실에서 열립니다. 모두 참석해 주시기 바랍니다."


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (JAPANESE, "euc_jp"),
        (JAPANESE, "cp932"),
        (JAPANESE, "gbk"),
        (JAPANESE, "iso2022_jp"),
        (KOREAN, "euc_kr"),
        (KOREAN + " 똠방각하", "cp949"),
        (KOREAN, "iso2022_kr"),
        (POLICY, "hz"),
        ("价格为€12，约合人民币九十五元。", "gbk"),
    ],
)
def test_encodings_of_east_asia(text: str, encoding: str) -> None:
    # Windows writes € as the byte 0x80, for which Python's codec has nothing.
    data = b"\x80".join(part.encode(encoding) for part in text.split("€"))
    assert decode(data, "x") == (text, encoding)
    assert decode(data, "x", encoding) == (text, encoding)


@pytest.mark.parametrize("text", ["a ~{b~} c", "echo ~{x,y}", "~{~}", "cost ~{12~}"])
def test_ascii_that_looks_shifted_stays_as_it_is(text: str) -> None:
    assert decode(text.encode(), "x") == (text, "utf-8")


def test_lines_of_two_encodings_are_read_line_by_line() -> None:
    unicode, national = "一月五日，系统启动成功。\n", "一月六日，用户登录失败，请检查密码。\n"
    data = unicode.encode() * 3 + b"plain\n" + national.encode("gbk") * 3
    text = unicode * 3 + "plain\n" + national * 3
    assert decode(data, "x") == (text, "utf-8+gb18030")
    assert decode(data, "x", "utf-8+gb18030") == (text, "utf-8+gb18030")


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8, 12])
@pytest.mark.parametrize("encoding", ["gbk", "big5"])
def test_short_chinese_is_hardly_ever_taken_for_another_language(
    length: int, encoding: str
) -> None:
    text = SIMPLIFIED if encoding == "gbk" else OLD_STYLE
    pieces = [text[at : at + length] for at in range(0, len(text) - length, length)]
    for piece in pieces:
        assert decode(piece.encode(encoding), "x")[1] not in {"euc_jp", "cp932", "euc_kr", "cp949"}


@pytest.mark.slow
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=200))
def test_utf8_is_never_taken_for_anything_else(text: str) -> None:
    assert decode(text.encode("utf-8-sig"), "x") == (text, "utf-8-sig")
    if not text.startswith("\ufeff"):
        assert decode(text.encode(), "x") == (text, "utf-8")


@pytest.mark.parametrize(
    ("text", "encoding", "found"),
    [(SIMPLIFIED * 3, "utf-8", "utf-8"), (SIMPLIFIED * 3, "gbk", "gb18030")],
)
def test_a_file_cut_in_a_character_is_still_read(text: str, encoding: str, found: str) -> None:
    assert decode(text.encode(encoding)[:-1], "x") == (text[:-1] + "\ufffd", found)


def test_a_given_encoding_is_used() -> None:
    data = "李白".encode("gb18030")
    assert decode(data, "x", "GB18030") == ("李白", "gb18030")
    assert decode(codecs.BOM_UTF8 + b"a", "x", "utf8") == ("a", "utf-8-sig")


def test_a_declared_encoding_is_believed_where_a_byte_is_damaged() -> None:
    text = "وأعرب الاتحاد الجزائري وقتها عن أسفه لهذا الموقف غير المقبول" * 9
    data = text.encode("iso-8859-6")
    damaged = data[:40] + b"\xff" + data[41:]  # a byte that this encoding does not have
    found = (text[:40] + "\ufffd" + text[41:], "iso8859-6")
    assert decode(damaged, "x", declared="iso-8859-6") == found


def test_a_declared_encoding_is_believed_only_if_it_can_be_true() -> None:
    assert decode("碰".encode("big5"), "x", declared="big5") == ("碰", "big5")
    assert decode(BIOGRAPHY.encode("gbk"), "x", declared="utf-16") == (BIOGRAPHY, "gbk")
    assert decode(BIOGRAPHY.encode("gbk"), "x", declared="no-such") == (BIOGRAPHY, "gbk")
    assert decode(BIOGRAPHY.encode(), "x", declared="gbk") == (BIOGRAPHY, "utf-8")


@pytest.mark.parametrize(
    ("data", "encoding", "message"),
    [
        ("李白".encode("gbk"), "utf-8", "x can't be read as utf-8 at byte 0"),
        ("李白".encode(), "big5hkscs", "x can't be read as big5hkscs"),
        (b"abc", "klingon", "unknown encoding 'klingon'"),
        (b"abc", "base64", "unknown encoding 'base64'"),
        (b"abc", "a\0b", "unknown encoding"),
        (bytes(range(256)) * 8, None, "x is not text"),
        (b"\x00\x01\x02\x03" * 50, None, "binary"),
        (b"\xff\xfe\x00", None, "x can't be read as utf-16"),
    ],
)
def test_what_is_no_text_is_refused(data: bytes, encoding: str | None, message: str) -> None:
    with pytest.raises(DocumentError, match=message) as caught:
        decode(data, "x", encoding)
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=300))
def test_any_bytes_are_text_or_refused(data: bytes) -> None:
    try:
        text, name = decode(data, "x")
    except DocumentError:
        return
    if "\ufffd" not in text:
        assert decode(data, "x", name) == (text, name)


@pytest.mark.parametrize("times", [1, 4, 10])
@pytest.mark.parametrize("digits", ["456", "４５６"])
def test_short_lines_of_two_programs(digits: str, times: int) -> None:
    lines = [
        "姓名,城市,金额\n张三,绍兴,１２３\n",
        f"李四,无锡,{digits}\n王五,常州,７８９\n" * times,
    ]
    data = lines[0].encode() + lines[1].encode("gbk")
    assert decode(data, "a.csv")[0] == "".join(lines)
    assert decode(lines[1].encode("gbk") + lines[0].encode(), "a.csv")[0] == lines[1] + lines[0]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xe5\x9e\x8b\n\xe5\xe5\x8f\xb730\t132\t15\x8f\xb7\t2020\t2021\n\xe5\x9e\x8b9",
         "型\n号30\t132\t15\t2020\t2021\n型9"),
        (b"\x8f\xb730\t132\t15\xe5\x9e\x8b\xe59\n\t\xe5\x9e\x8b\xe5\x8f\xb721\n2020\t20",
         "30\t132\t15型9\n\t型号21\n2020\t20"),
        (b"\x8b\xe5\x8f\xb730\t132\t21\n\xe5\x9e\n\xe5\x9e\x8b\xe5\x8f\xb7\t2020\t20159",
         "号30\t132\t21\n\n型号\t2020\t20159"),
    ],
)  # fmt: skip
def test_lines_of_torn_utf8_are_no_lines_of_gbk(data: bytes, text: str) -> None:
    found, encoding = decode(data, "a.tsv")
    assert (found.replace("\ufffd", ""), encoding) == (text, "utf-8")


@pytest.mark.parametrize("rule", ["—" * 20, "•" * 21, "·—" * 10])
def test_a_rule_is_no_writing_of_its_own(rule: str) -> None:
    text = f"Dear Ann,\nwe meet on Monday.\n{rule}\nTom\n"
    assert decode(text.encode("cp1252"), "a", declared="cp1252")[0] == text
