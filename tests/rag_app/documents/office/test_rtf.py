import pytest

from rag_app.documents.office.rtf.reader import read_rtf
from rag_app.errors import DocumentError

MEETING = "会议定于三月九日下午两点在二号楼会议室召开。"


def codes(text: str, encoding: str = "gbk") -> bytes:
    return "".join(f"\\'{byte:02x}" for byte in text.encode(encoding)).encode()


def text_of(body: bytes) -> str:
    return read_rtf(b"{\\rtf1\\ansi\\ansicpg936\\uc1 " + body + b"}", "a.rtf").text


def test_signs_of_symbol_fonts_are_what_they_look_like() -> None:
    fonts = rb"{\fonttbl{\f0 SimSun;}{\f1\fcharset2 Wingdings 2;}{\f2\fcharset2 Symbol;}}"
    text = rb"{\f1 R\'a3\u-4017?}{\f2 a} = 5 {\f1 R\plain R}\par"
    assert text_of(fonts + text) == "☑☐✗α = 5 ☑R"


def test_bytes_of_the_code_page() -> None:
    assert text_of(b"{\\fonttbl{\\f0 " + codes("宋体") + b";}}\\f0 " + codes(MEETING)) == MEETING


@pytest.mark.parametrize(("fallback", "count"), [(b"?", 1), (b"\\'bb\\'e1", 2), (b"", 0)])
def test_unicode_with_what_old_readers_show(fallback: bytes, count: int) -> None:
    units = [int.from_bytes(char.encode("utf-16-le"), "little", signed=True) for char in MEETING]
    body = b"".join(b"\\u%d" % unit + (fallback or b" ") for unit in units)
    assert text_of(b"\\uc%d " % count + body) == MEETING


@pytest.mark.parametrize("named", [b"", b"\\ansicpg1252"])
def test_chinese_that_names_no_encoding(named: bytes) -> None:
    assert (
        read_rtf(b"{\\rtf1\\ansi" + named + b" " + codes(MEETING) + b"}", "a.rtf").text == MEETING
    )


@pytest.mark.parametrize(
    ("marks", "hidden"),
    [
        (b"\\cf2 ", True),
        (b"\\v ", True),
        (b"\\cf2\\highlight1 ", False),
        (b"\\cbpat1\\cf2 ", False),
        (b"\\cf1 ", False),
    ],
)
def test_white_text_is_left_out_where_it_stands_on_white(marks: bytes, hidden: bool) -> None:
    colours = b"{\\colortbl;\\red0\\green0\\blue128;\\red255\\green255\\blue255;}"
    body = colours + b"\\pard\\plain " + codes("单价") + b"{" + marks + codes("底价") + b"}\\par"
    read = read_rtf(b"{\\rtf1\\ansi\\ansicpg936 " + body + b"}", "a.rtf")
    assert read.text == ("单价" if hidden else "单价底价")
    assert read.notes == (["1 hidden text was left out"] if hidden else [])


def test_rows_of_a_table_in_a_cell_are_apart_and_what_old_readers_show_is_left_out() -> None:
    inner = b"\\itap2 %s\\nestcell %d\\nestcell{\\*\\nesttableprops\\trowd\\cellx9\\nestrow}"
    inner += b"{\\nonesttables old\\par}"
    body = b"\\trowd\\cellx1\\intbl " + b"".join(inner % row for row in ((b"a", 1), (b"b", 2)))
    assert text_of(body + b"\\itap1\\cell\\row\\pard\\par") == "a 1; b 2"


def test_letters_with_marks_alone_are_no_chinese() -> None:
    cells = b"\\intbl a\\cell b\\cell\\row \\intbl\\'e4\\cell\\'eb\\cell\\row"
    data = b"{\\rtf1\\ansi\\ansicpg1252\\trowd\\cellx1\\cellx2" + cells + b"\\pard\\par}"
    assert read_rtf(data, "a.rtf").text == "a: ä; b: ë"


def test_text_behind_the_name_of_its_style_is_shown() -> None:
    assert text_of(b"{\\i0\\*\\cs7\\cf0 " + codes(MEETING) + b"}{\\*\\x y}") == MEETING


def test_what_follows_the_document_is_none_of_it() -> None:
    data = b"{\\rtf1\\ansi\\ansicpg936 " + codes(MEETING) + b"}\0" + bytes(range(128, 256))
    assert read_rtf(data, "a.rtf").text == MEETING


def test_bytes_that_are_no_characters_are_refused() -> None:
    damaged = b"\\'ff" * 40
    with pytest.raises(DocumentError, match="encoding"):
        read_rtf(b"{\\rtf1\\ansi\\ansicpg936 " + damaged + b"}", "a.rtf")


def test_characters_beyond_the_first_plane_and_each_fonts_own_encoding() -> None:
    assert text_of(b"\\u-10179?\\u-8704?") == "😀"
    fonts = b"{\\fonttbl{\\f0\\fcharset128 M;}{\\f1\\fcharset204 A;}}"
    body = b"\\f0 " + codes("会議", "cp932") + b"{\\f1 " + codes("Да", "cp1251") + b"}"
    assert text_of(fonts + body) == "会議Да"


def test_what_is_not_shown_is_no_text() -> None:
    body = (
        b"{\\info{\\title x}}{\\*\\generator y}{\\pict 89504e47}a{\\v hidden}{\\deleted gone}b"
        b"{\\field{\\*\\fldinst HYPERLINK z}{\\fldrslt link}}{\\*\\bkmkstart m}"
        b"\\bin4 {{{{c{\\footnote note}"
    )
    assert text_of(body) == "ablinkc [note]"


def test_text_that_is_struck_through() -> None:
    struck = rb"rent {\strike 800 \b yuan} \strike\u26087?\u31199?\strike0  900\striked1 x\plain y"
    assert text_of(struck) == "rent ~~800 yuan~~ ~~旧租~~ 900~~x~~y"


def test_raised_text_is_an_exponent() -> None:
    raised = rb"10{\super 3} m\super 2\nosupersub  H{\sub 2}O x\super n\plain 1"
    assert text_of(raised) == "10³ m² H2O xⁿ1"


def test_headings_and_tables() -> None:
    row = b"\\trowd%s\\cellx1\\cellx2\\cellx3\\intbl %s\\cell %s\\cell %s\\cell\\row"
    body = b"\\pard\\outlinelevel1 Shops\\par\\pard "
    body += row % (b"", b"Region", b"Shop", b"Growth")
    body += row % (b"\\clvmgf", b"East", b"A\\par A", b"15%") + row % (
        b"\\clvmrg",
        b"",
        b"B",
        b"-4%",
    )
    assert text_of(body + b"\\pard after\\par") == (
        "## Shops\n\nRegion: East; Shop: A A; Growth: 15%\n"
        "Region: East; Shop: B; Growth: -4%\n\nafter"
    )


def test_cells_end_in_the_same_columns_however_they_are_merged() -> None:
    def row(*cells: tuple[int, str, str]) -> str:
        words = "".join(f"\\{merge}\\cellx{edge}" for edge, merge, _ in cells)
        return f"\\trowd{words}\\intbl " + "".join(f"{t}\\cell " for _, _, t in cells) + "\\row"

    head = row((1000, "clvmgf", "No"), (3000, "clftsWidth3", "Check"), (4000, "clvmgf", "Result"))
    names = ((1000, "clvmrg", ""), (2000, "x1", "Look"), (3000, "x1", "Size"), (4000, "clvmrg", ""))
    values = ((1000, "x1", "1"), (2000, "x1", "clean"), (3010, "x1", "12.5"), (4000, "x1", "good"))
    body = head + row(*names) + row(*values) + "\\pard end"
    assert text_of(body.encode()).split("\n") == [
        "No: 1; Check/Look: clean; Check/Size: 12.5; Result: good", "", "end",
    ]  # fmt: skip


@pytest.mark.parametrize("data", [b"x", b"", b"{\\rtf1 " + b"{" * 20_000])
def test_what_is_no_rtf_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentError, match=r"not an RTF|too deep"):
        read_rtf(data, "a.rtf")


def test_properties_of_shapes_are_no_text() -> None:
    properties = b"{\\sp{\\sn shapeType}{\\sv 202}}"
    shown = b"{\\shptxt \\pard " + codes("文本框") + b"\\par}"
    shape = b"{\\shp{\\*\\shpinst\\shpleft1" + properties + shown + b"}}"
    assert text_of(codes("甲") + b"\\par " + shape).split() == ["甲", "文本框"]


def test_control_words_and_bytes_without_their_sign_are_no_text() -> None:
    assert text_of(b"\\pard\\li0 ]fi0 \\sa180 " + codes("甲")) == "甲"
    whole = codes("会议定于")
    assert text_of(whole[:8] + b"1" + whole[9:]) == "会议定于"


def test_what_stands_before_the_fonts_is_no_text() -> None:
    data = b"{\\rtf1\\ansi^deff0]stshfdbch31506\\ansicpg936{\\fonttbl{\\f0 Arial;}}\\f0 text}"
    assert read_rtf(data, "a.rtf").text == "text"


def test_a_font_outside_the_table_is_no_text() -> None:
    data = b"{\\rtf1{\\f1\\fcharset128\\fprq1 MS Gothic;}{\\pard Hello\\par}}"
    assert read_rtf(data, "a.rtf").text == "Hello"


def test_the_rest_of_a_damaged_escape_is_no_text() -> None:
    damaged = codes("会议") + b"\\'zz" + b"d4" + codes("定于三月九日下午两点召开")
    assert text_of(damaged) == "会议\ufffd定于三月九日下午两点召开"


def test_what_follows_blanked_bytes_is_no_text() -> None:
    assert text_of(b"{\\fontt" + bytes(40) + b"othic;}\n after") == "after"


@pytest.mark.parametrize(
    "damaged",
    [
        b"{Xfonttbl{\\f0\\fswiss Arial;}}\\f0 due in May",
        b"*{\\colorTbl ;\\red0\\green0\\blue0 ;}\\pard due in May",
        b"\\lang1081 \\pard\\,ang1081due in May",
        b"\\af15Xdbch\\f15\\pard due in May",
        b"\\paperw12000\\pape\xf7w12000\\pard due in May",
        b"{\\*\\hyphen2\\hyphtrail2}{\\*\\hyphen2\\h}phtrail2\\pard due in May",
    ],
)
def test_what_is_left_of_damaged_control_words_is_no_text(damaged: bytes) -> None:
    assert text_of(damaged) == "due in May"


def test_prices_and_numbers_behind_control_words_are_text() -> None:
    assert text_of(b"\\uc1\\u8216?beech\\u8217?, Spar\\par") == "‘beech’, Spar"
    assert text_of(b"\\b0 line1\\par\\b $50.00\\b0 , item3\\par") == "line1\n\n$50.00, item3"


def test_text_goes_on_in_step_behind_blanked_bytes() -> None:
    body = codes("定于三")[:-1] + bytes(30) + codes("号楼") + codes(MEETING)
    assert text_of(body).endswith(f"楼{MEETING}")
    assert "\\" not in text_of(body)


def test_control_words_of_which_several_are_damaged() -> None:
    damaged = b"Xpard ^ql Xsa180 due\x02 in\x03 May"
    assert text_of(damaged) == "due in May"
    assert text_of(b"Xpard ^ql Xsa180 due in May") == "Xpard ^ql Xsa180 due in May"


def test_damaged_chinese_that_names_no_encoding_is_refused_and_not_read_as_letters() -> None:
    bytes_ = codes(MEETING * 4).split(b"\\")[1:]
    bytes_[::30] = [b"'n" + code[2:] for code in bytes_[::30]]
    with pytest.raises(DocumentError, match="damaged"):
        read_rtf(b"{\\rtf1\\ansi \\" + b"\\".join(bytes_) + b"}", "a.rtf")


def test_a_few_letters_with_marks_are_no_damaged_chinese() -> None:
    assert read_rtf(b"{\\rtf1\\ansi \\'e4 \\'eb\\par \\'f6 \\'fc}", "a.rtf").text == "ä ë\n\nö ü"


def test_comments_follow_their_paragraph_or_table() -> None:
    comment = r"{\*\annotation\pard\plain to be\par checked}"
    row = r"\trowd\cellx1000\cellx2000\intbl %s\cell %s\cell\row"
    table = row % ("Item", "Value") + row % ("Stock", f"88{comment}") + row % ("Loss", "2")
    text = rf"{{\rtf1\ansi {table}\pard Output{comment} is steady.\par}}"
    assert read_rtf(text.encode(), "a.rtf").text.split("\n\n") == [
        "Item: Stock; Value: 88\nItem: Loss; Value: 2",
        "> 批注: to be checked",
        "Output is steady.",
        "> 批注: to be checked",
    ]
    broken = rf"{{\rtf1\ansi Output{comment[:-1]}"
    assert read_rtf(broken.encode(), "a.rtf").text == "Output\n\n> 批注: to be checked"


def test_segoe_ui_symbol_is_a_font_of_letters() -> None:
    fonts = rb"{\fonttbl{\f0\fnil Segoe UI Symbol;}{\f1\fnil\fcharset2 Symbol;}}"
    assert read_rtf(rb"{\rtf1" + fonts + rb"\f0 a\f1 a}", "a.rtf").text == "aα"
