"""Chinese text of which bytes are lost is in step again behind them."""

import pytest

from rag_app.documents.encodings.damage import SKIPPED
from rag_app.documents.encodings.detection import decode
from rag_app.errors import DocumentError
from tests.rag_app.documents.making import BIOGRAPHY, LAW, POLICY, TRADITIONAL


@pytest.mark.parametrize(
    ("text", "encoding", "lost"),
    [
        *((POLICY, "gbk", lost) for lost in (20, 41, 77)),
        *((TRADITIONAL + LAW, "big5", lost) for lost in (20, 41, 77)),
        (POLICY, "gb18030", 5),
        (POLICY, "utf-16", 77),
    ],
)
def test_a_lost_byte_costs_a_few_characters(text: str, encoding: str, lost: int) -> None:
    data = text.encode(encoding)
    end = -1 if encoding == "utf-16" else len(data)  # whole characters, as in a file cut elsewhere
    found, _ = decode(data[:lost] + data[lost + 1 : end], "x")
    assert text[len(text) // 2 : -1] in found
    assert sum(char not in text for char in found) <= 4


@pytest.mark.parametrize(
    ("written", "cut"),
    [
        ("型号\t2020\n型号30\t132\n", slice(1, -1)),
        ("型号\t2020\n型号30\t132\n", slice(0, 14)),
        ("周五停电。", slice(1, None)),
        ("型号\t2020\n" + "型号30\t132\t159\t20:44\n" * 6, slice(1, -1)),
        ("价格约合人民币", slice(0, -1)),
    ],
)
def test_a_short_piece_of_utf8_is_not_taken_for_another_encoding(written: str, cut: slice) -> None:
    found, codec = decode(written.encode()[cut], "x")
    assert codec == "utf-8"
    assert set(found) - {SKIPPED} <= set(written)


def test_japanese_is_in_step_behind_a_lost_byte() -> None:
    text = "図書館は火曜日から日曜日まで開いています。漢字と仮名がまじった文章です。" * 2
    data = text.encode("euc_jp")
    found, codec = decode(data[:21] + data[22:], "x")
    assert (codec, text[12:] in found) == ("euc_jp", True)
    assert set(found) - {SKIPPED} <= set(text)


@pytest.mark.parametrize("lost", [30, 61, 90])
def test_japanese_of_which_all_bytes_are_characters_is_in_step(lost: int) -> None:
    text = "下を反対にした罫線は、版面の最左端に置いてもよい。行間の処理も同じである。\n" * 3
    data = text.encode("euc_jp")
    found, _ = decode(data[:lost] + data[lost + 1 : lost + 21] + data[lost + 20 :], "x")
    assert sum(char not in text for char in found) <= 3


def test_letters_amid_han_are_no_halves() -> None:
    text = "持A股的人與X光室在T恤之外，B為約數，C也是；用q代表它，y是另一個。\n" * 2
    assert decode(text.encode("big5"), "x")[0] == text
    data = text.encode("big5")
    found, _ = decode(data[:7] + b"\xa4" + data[7:], "x")
    assert found[12:] in text


def test_damaged_korean_is_no_chinese() -> None:
    text = "도서관은 화요일부터 일요일까지 문을 연다. 책은 두 주일 동안 빌릴 수 있다.\n" * 2
    data = text.encode("euc_kr")
    found, codec = decode(data[:25] + b"$" + data[26:], "x")
    assert codec == "euc_kr"
    assert sum(char not in text for char in found) <= 2


def test_latin_in_utf16_is_in_step_behind_a_lost_byte() -> None:
    text = "The origin of this practice is unknown. " * 4
    data = text.encode("utf-16")
    found, _ = decode(data[:61] + data[62:-1], "x")
    assert "practice is unknown. The" in found


@pytest.mark.parametrize("text", ["一一一最", "二〇一一一一", "开一最"])
def test_han_whose_second_byte_is_zero_stay(text: str) -> None:
    data = text.encode("utf-16")
    assert decode(data, "x") == (text, "utf-16")


def test_repeated_pieces_are_each_read() -> None:
    data = TRADITIONAL.encode("big5")
    found, _ = decode(data + (b"\xba" + data[-40:]) * 4, "x")
    assert found.count(TRADITIONAL[-15:]) == 5


def test_rare_characters_that_are_whole_stay() -> None:
    text = "地名用字：圐圙、圪塔、垴、垚、堽、塬、墕、墚，皆见于县志。" * 3
    assert decode(text.encode("gbk"), "x") == (text, "gbk")


RUSSIAN = "Он окончил воздушно-десантную школу и служил в батальоне. "
DANISH = "Hun er en dansk journalist og skønlitterær forfatter, født 1972. "


@pytest.mark.parametrize("text", [RUSSIAN, DANISH, BIOGRAPHY, "한국어 문장입니다. 회의는 오후에. "])
@pytest.mark.parametrize("start", [0, 1])
def test_utf8_cut_inside_characters_stays_utf8(text: str, start: int) -> None:
    data = (text * 9).encode()
    first = next(at for at, byte in enumerate(data) if byte > 0xC0)
    cut = data[first + start : -1 - len(data) % 2]
    found, encoding = decode(cut, "x")
    assert encoding == "utf-8"
    assert text * 7 in found
    assert len(found.replace(SKIPPED, "")) >= len(found) - 3


def test_damaged_lines_of_utf8_are_not_taken_for_gbk() -> None:
    greek = "Ο Δείκτης μάζας σώματος είναι μια γενική ένδειξη για τον υπολογισμό.\n".encode()
    data = BIOGRAPHY.encode() + b"\n" + greek * 3 + greek[:9] + b"\xce" + greek[12:] + greek
    found, encoding = decode(data.replace(b" ", b"\0", 1), "x")
    assert encoding == "utf-8"
    assert found.count("είναι μια γενική ένδειξη") == 5


def test_a_piece_of_a_binary_file_in_a_text_is_refused() -> None:
    text = b"# a list of names and values\n" * 400
    with pytest.raises(DocumentError):
        decode(text + bytes(range(1, 256)) * 4, "x")
    assert decode(text + b"\x1b[31mred\x1b[0m \x07", "x")[1] == "utf-8"


@pytest.mark.parametrize("at", [7, 40, 41, 90])
def test_damaged_euc_jp_is_no_gbk(at: int) -> None:
    text = "会議室の利用は総務課に申し込んでください。受付時間は平日の午前九時からです。\n" * 3
    data = bytearray(text.encode("euc_jp"))
    del data[at : at + 1]
    found, codec = decode(bytes(data), "a.txt")
    assert codec == "euc_jp"
    assert found.endswith(text[80:])
    assert decode(text.encode("euc_jp")[:75], "a.txt")[1] == "euc_jp"


def test_japanese_in_gbk_is_gbk() -> None:
    text = "会議室の利用は総務課に申し込んでください。受付時間は平日の午前九時からです。"
    assert decode(text.encode("gbk"), "a.txt") == (text, "gbk")


def test_japanese_of_which_characters_are_damaged_too_is_no_gbk() -> None:
    text = "図書館は火曜日から日曜日まで開いています。漢字と仮名がまじった文章です。\n" * 3
    data = text.encode("euc_jp")
    found, codec = decode(data[:48] + b"$" + data[49:], "x")
    assert (codec, found[-75:]) == ("euc_jp", text[-75:])
    assert decode(text.encode("gbk"), "x") == (text, "gbk")


def test_a_few_pieces_of_characters_are_no_text_in_another_encoding() -> None:
    with pytest.raises(DocumentError, match="not text"):
        decode(b"2\t\xe5\x9e020\t20\x9e\x8b\xe5\x8f\xb7\x8b\xe5\x8f\xb7\t1\n\xe530\n", "a.tsv")
