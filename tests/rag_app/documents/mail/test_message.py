import base64
import binascii
import hashlib
import quopri
import struct
from email.message import EmailMessage
from email.policy import SMTP

import pytest

from rag_app.documents.extraction import extract, kind_of
from rag_app.documents.mail.message import read_web_archive
from rag_app.errors import DocumentError
from tests.rag_app.documents.making import docx, zipped

MEETING = "会议定于三月九日下午两点在二号楼会议室召开。"


def mail(**headers: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    for name, value in {"Subject": "通知", "From": "张三 <a@b.cn>", **headers}.items():
        message[name] = value
    return message


def read(message: EmailMessage | bytes) -> tuple[str, list[str]]:
    data = message if isinstance(message, bytes) else message.as_bytes()
    found = extract(data, kind_of(data, ".eml", "a.eml"), "a.eml")
    return found.text, list(found.notes)


@pytest.mark.parametrize("transfer", ["base64", "quoted-printable", "8bit"])
@pytest.mark.parametrize("charset", ["utf-8", "gb2312", "big5"])
def test_text_in_any_transfer_and_charset(transfer: str, charset: str) -> None:
    text = MEETING if charset != "big5" else "會議定於三月九日下午兩點召開。"
    message = mail(To="李四 <c@d.cn>", Date="Tue, 15 Aug 2023 10:00:00 +0800")
    message.set_content(text, charset=charset, cte=transfer)
    assert read(message)[0] == (
        "# 通知\n\nFrom: 张三 <a@b.cn>\nTo: 李四 <c@d.cn>\nDate: 2023-08-15 10:00 +0800\n\n" + text
    )


def test_a_subject_over_several_lines() -> None:
    subject = "关于二〇二三年第三季度办公用品采购与领用管理办法修订意见征集的通知" * 2
    message = mail(Subject=subject)
    message.set_content("x")
    assert read(message)[0].startswith(f"# {subject}\n\n")


def test_a_charset_is_believed_whose_text_is_valid_utf8_by_chance() -> None:
    word = base64.b64encode("通知".encode("gbk")).decode()
    for charset, shown in (("gb2312", "通知"), ("utf-8", "\u0368\u05aa")):
        assert read(f"Subject: =?{charset}?B?{word}?=\n\nx\n".encode())[0] == f"# {shown}\n\nx"
    cafe = base64.b64encode("é".encode()).decode()
    assert read(f"Subject: =?gb2312?B?{cafe}?=\n\nx\n".encode())[0] == "# é\n\nx"


def test_a_word_of_a_header_is_in_the_encoding_that_it_names() -> None:
    name = base64.b64encode("席某".encode("gb2312")).decode()  # which is valid UTF-8
    assert "From: 席某 <x@a.cn>" in read(f"From: =?GB2312?B?{name}?= <x@a.cn>\n\nx\n".encode())[0]


def test_a_header_without_encoding_is_in_that_of_the_text() -> None:
    head = "Subject: 通知\nContent-Type: text/plain; charset=gbk\nContent-Transfer-Encoding: 8bit"
    assert read(f"{head}\n\n{MEETING}\n".encode("gbk"))[0] == f"# 通知\n\n{MEETING}"


def test_headers_and_text_in_gbk_without_any_encoding() -> None:
    data = f"Subject: 会议通知\nFrom: 张三\n\n{MEETING}\n".encode("gbk")
    assert read(data)[0] == f"# 会议通知\n\nFrom: 张三\n\n{MEETING}"


def test_the_richer_form_is_read_once() -> None:
    message = mail()
    message.set_content("纯文本")
    message.add_alternative(
        "<p>富文本</p><table><tr><th>项<th>价<tr><td>饭<td>30</table>", subtype="html"
    )
    assert read(message)[0] == "# 通知\n\nFrom: 张三 <a@b.cn>\n\n富文本\n\n项: 饭; 价: 30"


def test_an_invitation_is_not_the_text() -> None:
    message = mail()
    message.set_content("请参加。")
    event = "BEGIN:VEVENT\r\nSUMMARY:试压\r\nDTSTART:20260311T090000\r\nEND:VEVENT"
    message.add_alternative(f"BEGIN:VCALENDAR\r\n{event}\r\nEND:VCALENDAR", subtype="calendar")
    text, notes = read(message)
    assert text.index("\n\n请参加。") < text.index("试压")
    assert not notes


def test_what_it_was_sent_with_is_read_through_the_same_readers() -> None:
    inner = mail(Subject="转发")
    inner.set_content("里层正文。")
    message = mail()
    message.set_content("见附件。")
    for name, data in (
        ("合同.docx", docx("合同正文。")),
        ("包.zip", zipped({"表.csv": "甲,乙\n1,2\n"})),
    ):
        message.add_attachment(data, maintype="application", subtype="x", filename=name)
    message.add_attachment(b"MZ\0\1" * 9, maintype="application", subtype="x", filename="程序.exe")
    message.add_attachment(inner)
    text, notes = read(message)
    for part in ("见附件。", "## 合同.docx\n\n合同正文。", "甲: 1; 乙: 2", "# 转发", "里层正文。"):
        assert part in text
    assert len(notes) == 1
    assert notes[0].startswith("程序.exe was not read")


def test_a_web_archive_with_its_frames() -> None:
    frames = (
        "MIME-Version: 1.0\nContent-Type: multipart/related; boundary=x\n\n"
        "--x\nContent-Type: text/html; charset=gb2312\n"
        f"Content-Transfer-Encoding: 8bit\n\n<p>{MEETING}</p>\n"
        "--x\nContent-Type: text/html; charset=gb2312\n\n<p>框架里的字。</p>\n"
        "--x\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\niVBORw0KGgo=\n--x--\n"
    ).encode("gbk")
    for suffix in (".mht", "", ".doc"):
        kind = kind_of(frames, suffix, "a")
        assert kind == "mht"
        assert extract(frames, kind, "a").text == f"{MEETING}\n\n框架里的字。"


def test_mails_in_mails_without_end() -> None:
    message = mail(Subject="最里")
    message.set_content("最里的字。")
    for _ in range(10):
        outer = mail()
        outer.set_content("外层。")
        outer.add_attachment(message)
        message = outer
    text, notes = read(message)
    assert "外层。" in text
    assert "最里的字。" not in text
    assert "too deep" in " ".join(notes)


BODY = base64.encodebytes(
    ("<p>" + "水泵房每周检查一次，压力不低于0.3兆帕。" * 9 + "</p>").encode()
).decode()
QUOTED = quopri.encodestring(("<p>" + "水泵房每周检查一次。" * 9 + "</p>").encode()).decode()
MARK = "Content-Transfer-Encoding"


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (f"{MARK}: bbse64\n", BODY),
        (f"{MARK.replace('T', 'U')}: base64\n", BODY),
        ("", BODY),
        (f"{MARK}: quotec-printable\n", QUOTED),
        ("", QUOTED),
    ],
)
def test_bodies_are_decoded_whatever_became_of_the_header(headers: str, body: str) -> None:
    page = f"MIME-Version: 1.0\nContent-Type: text/html; charset=utf-8\n{headers}\n{body}"
    found = read_web_archive(page.encode(), "page.mht")
    assert found.text.startswith("水泵房每周检查一次")
    assert not found.notes


def test_lines_of_codes_are_left_out_and_counted() -> None:
    lost = f"--rest of a head\nContent-Type: text/html\n\n{BODY}\n周五停电。\n"
    found = read_web_archive(f"MIME-Version: 1.0\n\n{lost}".encode(), "page.mht")
    assert "周五停电。" in found.text
    assert BODY[:20] not in found.text
    assert f"{len(BODY.splitlines())} lines" in found.notes[0]


def test_numbers_names_and_addresses_are_no_codes() -> None:
    lines = (
        hashlib.sha256(b"").hexdigest(),
        "AbstractSingletonProxyFactoryBeanConfigurationTests2",
        "https://example.com/" + "Path2" * 20,
        "=" * 70,
        "a=3D&b=4 和 x=E4",
    )
    mail = "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n" + "\n\n".join(lines)
    found = read_web_archive(mail.encode(), "page.mht")
    assert found.text.split("\n\n") == list(lines)
    assert not found.notes


def test_a_page_whose_headers_are_lost_is_no_source_text() -> None:
    page = (
        b'<h1 class=3D"a" id=3D"b">'
        b"Crawlers</h1>\n<ul =\n>\n<li>Works of any =\nkind</li></ul>\n<p>=E6=B0=B4</p>"
    )
    data = b"MIME-Version: 1.0\n\n" + page
    assert extract(data, "mht", "a.mht").text == "# Crawlers\n\n- Works of any kind\n\n水"


def test_a_piece_of_codes_in_a_line_of_text_is_left_out() -> None:
    code = base64.b64encode(hashlib.sha512(b"1").digest())
    data = b"Subject: a\n\nThe file follows.\n" + code + b" and then the text goes on.\n"
    text, notes = read(data)
    assert code[:40].decode() not in text
    assert "and then the text goes on." in text
    assert "1 lines" in notes[0]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_mail_in_utf16(encoding: str) -> None:
    text = f"Subject: 通知\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\n{MEETING}"
    read = extract(text.encode(encoding), "eml", "a.eml").text
    assert read == f"# 通知\n\n{MEETING}"


def test_a_header_whose_name_is_damaged_ends_no_headers() -> None:
    data = "Subject: 通知\nCont\xffent-X: a\nContent-Type: text/html\n\n<p>员工<b>甲</b></p>"
    assert read(data.encode())[0] == "# 通知\n\n员工**甲**"


@pytest.mark.parametrize("cut", ["Subject: 通知\nCont", "Subject: 通知\nMIME-Version"])
def test_a_header_that_is_cut_is_no_body(cut: str) -> None:
    assert read(cut.encode())[0] == "# 通知"


def test_headers_of_transport_amid_a_body_are_no_text() -> None:
    assert (
        read("Subject: a\n\n甲。\nncoding: 8bit\n乙=Bquoted-printable".encode())[0]
        == "# a\n\n甲。\n\n乙"
    )
    headers = "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nX-Loop: 1\n"
    data = f"Subject: 通知\nContent-Type: text/plain; charset=utf-8\n\n甲。\n{headers}\n乙。"
    assert read(data.encode())[0].split() == ["#", "通知", "甲。", "乙。"]


def test_one_header_that_a_writer_speaks_of_stays() -> None:
    body = "Set Content-Type: text/html for pages.\nContent-Language: zh is optional."
    assert read(f"Subject: a\n\n{body}".encode())[0] == f"# a\n\n{body}"


def test_a_damaged_sign_of_quoted_printable_is_restored() -> None:
    head = (
        b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
    )
    assert read(head + b"=E4=BC=9A=E8=AE-AE=E5=AE=9A")[0] == "会议定"
    assert read(head + b"=E4=BC=9A=E8=AE=AE \xe9 a")[0].startswith("会议")
    assert read(head + b"=E4=BC=9A=E8=AE=AE=G5=AE=9A=E4=BC=9A a=b")[0].startswith("会议\ufffd")


def test_a_boundary_over_two_lines() -> None:
    head = b'Subject: a\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="one\n two"\n'
    text, _ = read(head + "\n开头不读\n--one two\n\n正文在此。\n--one two--\n".encode())
    assert text == "# a\n\n正文在此。"


def test_a_mail_that_is_encoded_within_another() -> None:
    inner = base64.encodebytes("Subject: 原信\n\n原信的正文。\n".encode())
    head = b"Subject: a\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"
    text, _ = read(head + inner)
    assert text == "# a\n\n## mail.eml\n\n### 原信\n\n原信的正文。"


def test_files_that_are_written_into_the_text_are_no_text() -> None:
    lines = [binascii.b2a_uu(bytes(range(at, at + 45))) for at in (0, 45, 90)]
    file = b"begin 644 a.gif\n" + b"".join(lines) + b"`\nend\n"
    text, notes = read(b"Subject: a\n\nAs drawn:\n\n" + file + b"\nbegin 600 seats, end.\n")
    assert text == "# a\n\nAs drawn:\n\nbegin 600 seats, end."
    assert len(notes) == 1


@pytest.mark.parametrize(
    "start", ["Subject: 通知\nFrom: a@b.cn", "From a@b.cn Mon\nTo: c", "To: c"]
)
def test_a_mail_under_the_suffix_of_outlook(start: str) -> None:
    data = f"{start}\n\n正文在此。\n".encode()
    assert kind_of(data, ".msg", "a.msg") == "eml"
    assert "正文在此。" in extract(data, "eml", "a.msg").text


def property_of(key: int, value: bytes, kind: int = 0x1E) -> bytes:
    filled = value.ljust((len(value) + 3) // 4 * 4, b"\0")
    return struct.pack("<HHII", kind, key, 1, len(value)) + filled


def wrapped(*attributes: tuple[int, bytes]) -> bytes:
    """A file as Outlook wraps a message for others."""
    parts = [
        struct.pack("<BII", 1, key, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)
        for key, value in attributes
    ]
    return b"".join([struct.pack("<IH", 0x223E9F78, 1), *parts])


def test_what_outlook_wraps_for_others() -> None:
    named = struct.pack("<HH16sIII", 3, 0x8001, bytes(16), 1, 4, 0x610062) + bytes(4)
    several = struct.pack("<HHIII4s", 0x101F, 0x3A02, 1, 4, 0x42, b"")[:-4]
    properties = [
        property_of(0x37, "会议通知".encode("gbk") + b"\0"),
        property_of(0xC1A, "张三".encode("utf-16-le"), 0x1F),
        struct.pack("<HHQ", 0x40, 0x39, 133_364_448_000_000_000),
        named,
        several,
        property_of(0x1000, "会议定于三月九日。".encode("gbk")),
    ]
    file = property_of(0x3707, "议程.txt".encode("gbk"))
    data = wrapped(
        (0x69007, struct.pack("<II", 936, 0)),
        (0x69003, struct.pack("<I", len(properties)) + b"".join(properties)),
        (0x69002, bytes(14)),
        (0x6800F, "第一项。".encode("gbk")),
        (0x69005, struct.pack("<I", 1) + file),
    )
    expected = (
        "# 会议通知\n\nFrom: 张三\nDate: 2023-08-14 00:00 +0000\n\n会议定于三月九日。\n\n"
        "## 议程.txt\n\n第一项。"
    )
    assert kind_of(data, ".dat", "winmail.dat") == "tnef"
    assert extract(data, "tnef", "winmail.dat").text == expected
    outer = mail(Subject="外")
    outer.set_content("见附件。")
    outer.add_attachment(data, "application", "ms-tnef")
    text, notes = read(outer)
    assert notes == []
    assert text.endswith("## winmail.dat\n\n" + "##" + expected.replace("## ", "#### "))
    for end in range(len(data)):
        extract(data[:end], "tnef", "winmail.dat")
    damaged = extract(data.replace("第一项。".encode("gbk"), "第二项。".encode("gbk")), "tnef", "a")
    assert "第二项" not in damaged.text
    assert damaged.notes == ["1 parts of the message are damaged and were not read; get it again"]


def test_what_only_a_damaged_mail_has_amid_its_text() -> None:
    lost = "SMTP id g1-20020a0cf08100000\nX-Entity-ID: E9fQdb7jZf9h\n\n会议改期。\n"
    rest = "From 17591@xxx Wed Mar 01 10:09:01 2023\nX-GM-THRID: 1759159613\n九点开始。\n"
    codes = "00000b004b437680036mr44365337qvk.113.1666947553849;\n--001a11346808c1bc82\n"
    text, _ = read((lost + rest + codes).encode())
    assert text == "SMTP id g1-20020a0cf08100000\n\n会议改期。\n\n九点开始。"
    whole = f"Subject: 日志\nFrom: a@b.cn\n\n{rest}{codes}".encode()
    assert "X-GM-THRID: 1759159613" in read(whole)[0]


@pytest.mark.parametrize(
    "cut",
    [
        "ontent-Transfer-Encoding: 8bit",
        "ng: 8bit",
        "IME-Version: 1.0",
        "pe: multipart/mixed; boundary=x1",
    ],
)
def test_a_header_that_is_cut_amid_a_body_is_no_text(cut: str) -> None:
    text, _ = read(f"Subject: a\nFrom: b@c.d\n\n会议改期。\n{cut}\n\n九点开始。\n".encode())
    assert text.split("\n\n", 2)[2].split() == ["会议改期。", "九点开始。"]


@pytest.mark.parametrize(
    "cut",
    [
        "JContent-Type: text/pmain; ch!rset=utf-8",
        'text/html"; boundary""',
        "Content-Transfer-Encodin ",
        "MIME-Versiharset=utf-8",
        "tosTransfer-Encoding: quoted-printable",
        "/html; charsetutf-8",
        "MIME-Version; 1.0",
        "=Ansfer-Encoding: quoted-printable",
        'erart/related; type"text/html"; boundary""',
    ],
)
def test_a_header_that_is_cut_in_a_damaged_mail_is_no_text(cut: str) -> None:
    text, _ = read(f"SMTP id g1-20020a0cf\n\n会议改期。\n{cut}\n\n九点开始。\n".encode())
    assert text.split("\n\n", 1)[1].split() == ["会议改期。", "九点开始。"]


def test_the_end_of_a_page_behind_the_text_of_a_damaged_mail() -> None:
    text, _ = read(b'Content-Type: text/plain\n\n<div dir="ltr">Closed.</p><p>Open.\n')
    assert text == "Closed.Open."


@pytest.mark.slow
def test_long_lines_take_time_in_proportion() -> None:
    for line in ("a-b-c-d-" * 20_000, "A1" * 80_000, "aa.-" * 40_000):
        read(
            f"x\n\n{line}\n".encode()
        )  # minutes, where each place of a line is searched to its end


@pytest.mark.parametrize(
    "piece",
    [
        "MIME-Ver",
        "ing: 8bit",
        "Content-Type: tex",
        "=?utf-8?B?aGVsbG8=?=",
        "\ufffdontent-Transfer-Encoding: 8bit",
        'dary="x1"',
        '; charset="utf-8"',
        "0000000000005d654205f082adb5--",
        "core/tests/X-Gmail-Labels: Archived,Unread",
        "YXRlPjIwMDctMDEtMjFrom a@b.com Thu Feb 22 11:20:31 2007",
        "-----BEGIN PGP MESWAGE-----\nVersion: 2.6.2\n\n=zzaA\n-----END PGP MESSAGE-----",
        "aGVsbG8gd29ybGQhIGhlbGxvIHdvcmxkIQ==",
        "p.MsoIndex1, li.MsoIndex1 {margin-top:0cm;",
    ],
)
def test_pieces_of_codes_in_a_damaged_mail_are_no_text(piece: str) -> None:
    text, _ = read(f"SMTP id g1-20020a0cf\n\n{MEETING}\n{piece}\n周五停电。\n".encode())
    assert text.split("\n\n", 1)[1].split() == [MEETING, "周五停电。"]


def test_a_whole_mail_may_be_about_the_headers_of_mails() -> None:
    lines = ["Content-Type: text/html; charset=utf-8", "boundary=x1", "MIME-Version: 1.0", "base64"]
    text, _ = read("\n\n".join(["Subject: a\nFrom: b@c.d", "请检查：", *lines]).encode())
    assert text.split("\n\n")[2:] == ["请检查：", *lines]


def test_codes_that_are_cut_are_decoded_as_far_as_they_go() -> None:
    head = b"Subject: a\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\n"
    lines = base64.encodebytes(b"The water will be turned off on Friday. " * 8).splitlines(True)
    text, _ = read(head + lines[0] + lines[1][:35] + b"\xff\x93\xfc" + bytes(range(128, 256)))
    assert text.startswith("# a\n\nThe water will be turned off on Friday.")
    assert text.isascii()
    joined = lines[0][:10] + lines[2][:69] + b"\n"  # two pieces of lines in one
    assert read(head + lines[0] + joined + lines[3])[0].isascii()


def test_quoted_printable_that_is_cut_in_a_code() -> None:
    head = b"Content-Type: multipart/related; boundary=x\n\n--x\nContent-Type: text/html\n"
    data = head + b"Content-Transfer-Encoding: quoted-printable\n\n<p>=E4=BC=9A=8=E8=AE=AE=A-</p>"
    assert read_web_archive(data, "a.mht").text == "会\ufffd议-"
    assert read_web_archive(data[:-7] + b"=E", "a.mht").text == "会\ufffd议"


def test_headers_behind_a_cut_code_in_each_page_of_an_archive() -> None:
    head = b'MIME-Version: 1.0\nContent-Type: multipart/related; boundary="x"\n\n--x\n'
    part = b"Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n"
    page = b"<html><body><p>" + quopri.encodestring(MEETING[:9].encode()).replace(b"=\n", b"")
    cut = part + page + b'=: multipart/related; boundary="x"\n\n--x\n'
    data = head + cut + cut + part + page + b"</p></body></html>\n--x--\n"
    assert read_web_archive(data, "a.mht").text.split() == [MEETING[:9]] * 3


def test_a_page_behind_a_damaged_boundary_is_no_source_text() -> None:
    head = b"Subject: a\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=12ab\n\n"
    plain = b"--12ab\nContent-Type: text/plain\n\nThe rent.\n"
    page = (
        b"--12\xffb\nContent-Type: text/html\n\n<table><tr><td>Due</td><td>May</td></tr></table>\n"
    )
    assert "<td" not in read(head + plain + page + b"--12ab--\n")[0]


@pytest.mark.parametrize(
    "value", ["=?utf-8?b?5byg5L", "?utf-8?b?5byg5LiJ?= <z@x.cn>", "=?utfLiJ?= <z@x.cn>"]
)
def test_an_encoded_name_that_is_cut_is_no_text(value: str) -> None:
    text, _ = read(f"Subject: a\nFrom: {value}\n\n{MEETING}\n".encode())
    assert "5by" not in text
    assert "?=" not in text
    assert text.endswith(MEETING)


def test_a_short_boundary_within_a_line_is_no_text() -> None:
    head = 'Subject: a\nContent-Type: multipart/mixed; boundary="=_b1"\n\n--=_b1\n\n'
    text, _ = read(f"{head}{MEETING}--=_b1 请准时。\n--=_b1--\n".encode())
    assert text == f"# a\n\n{MEETING} 请准时。"


def test_a_page_whose_type_is_damaged_is_no_source_text() -> None:
    head = 'Subject: a\nContent-Type: multipart/mixed; boundary="x1"\n\n--x1\n'
    text, _ = read(f"{head}Content-Type: text\x0fhtml\n\n<p>{MEETING}</p>\n--x1--\n".encode())
    assert text == f"# a\n\n{MEETING}"


def test_codes_beside_lost_characters_are_no_text() -> None:
    head = b"Subject: a\nContent-Type: text/plain; charset=utf-8\n\n"
    text, _ = read(head + MEETING.encode() + "请准=E4".encode() + b"\xe5\x8a" + "时到。\n".encode())
    assert "=E4" not in text
    body = f"{MEETING}b?5byg5LiJ?= {MEETING}\n"
    text, _ = read(head + body.encode() + b"\xe5\x8a=?utf-8?b?5by\n")
    assert "5by" not in text


def test_text_in_another_encoding_than_the_western_one_it_names() -> None:
    head = b"Subject: a\nContent-Type: text/plain; charset=us-ascii\n\n"
    assert MEETING in read(head + MEETING.encode("gbk"))[0]
    assert "Déjà vu, à bientôt." in read(head + "Déjà vu, à bientôt.".encode("cp1252"))[0]


def test_flowed_lines_are_joined() -> None:
    kind = b"Subject: a\nContent-Type: text/plain; charset=utf-8; format=flowed"
    text = "> Stop it \n> now.\n压力为一点五 \n倍。\n-- \n某某\n".encode()
    assert read(kind + b"\n\n" + text)[0] == "# a\n\n> Stop it now.\n压力为一点五倍。\n-- \n某某"
    assert "now.\n压力为一点五倍" in read(kind + b"; delsp=yes\n\n" + text)[0]


def test_mailboxes_and_mails_saved_as_text() -> None:
    mails = [mail(To="c@d.cn", Subject=name) for name in ("甲", "乙")]
    for message in mails:
        message.set_content(f">From 的{MEETING}\n", cte="base64")
    box = b"".join(
        b"From a@b.cn Wed Nov  5 10:00:00 2025\n" + message.as_bytes() + b"\n" for message in mails
    )
    text = extract(box, kind_of(box, ".mbox", "a.mbox"), "a.mbox").text
    assert [text.count(said) for said in ("# 甲", "# 乙", MEETING)] == [1, 1, 2]
    with pytest.raises(DocumentError, match="holds no mail that can be read"):
        extract(b"Dear Ann,\n", "mbox", "a.mbox")
    assert kind_of(mails[0].as_bytes(), ".txt", "a.txt") == "eml"
    assert kind_of(b"Subject: a\n\nMIME-Version: 1.0", ".txt", "a.txt") == "text"
