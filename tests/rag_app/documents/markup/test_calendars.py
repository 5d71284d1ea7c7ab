"""Calendars and contacts: an entry under its name, without what is for programs."""

from pathlib import Path

from rag_app.documents.loaders import FileLoader
from rag_app.documents.markup.calendars import calendar_markdown

CALENDAR = """\
BEGIN:VCALENDAR
PRODID:-//x//y
X-WR-CALNAME:设备科
BEGIN:VTIMEZONE
TZID:Asia/Shanghai
BEGIN:STANDARD
DTSTART:19700101T000000
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
UID:abc@x
DTSTAMP:20260301T010000Z
DTSTART;TZID=Asia/Shanghai:20260309T140000
DTEND:20260309T073000Z
SUMMARY:设备检修\\, 第二次
DESCRIPTION:请带上\\n1. 记录\\; 分机 81
 10
ATTENDEE;CN="张三, 科长":mailto:z@x.cn
BEGIN:VALARM
DESCRIPTION:提醒
END:VALARM
END:VEVENT
END:VCALENDAR
"""


def test_events_are_read_with_their_times(tmp_path: Path) -> None:
    path = tmp_path / "检修.ics"
    path.write_bytes(CALENDAR.replace("\n", "\r\n").encode())
    (document,) = FileLoader(path).load()
    assert document.page_content == (
        "# 设备科\n\n## 设备检修, 第二次\n\nstart: 2026-03-09 14:00 Asia/Shanghai\n"
        "end: 2026-03-09 07:30 UTC\ndescription: 请带上\n1. 记录; 分机 8110\n"
        "attendee: 张三, 科长 <z@x.cn>"
    )


def test_contacts_of_old_phones_are_decoded_and_their_pictures_left_out() -> None:
    card = (
        "BEGIN:VCARD\nVERSION:2.1\nFN;CHARSET=GBK;ENCODING=QUOTED-PRINTABLE:=D5=C5=\n=C8=FD\n"
        "TEL;CELL:13800138000\nORG:临江水务;设备科\nPHOTO;ENCODING=BASE64;JPEG:/9j/4AAQ\n kZJRg==\n"
        "END:VCARD\n"
    )
    assert calendar_markdown(card * 2) == "\n\n".join(
        ["## 张三\n\ntel (cell): 13800138000\norg: 临江水务 设备科"] * 2
    )


def test_a_semicolon_of_the_text_is_no_parameter() -> None:
    event = "BEGIN:VEVENT\nSUMMARY:检修\nDESCRIPTION:先设 A\\;VALUE=3 再开\nEND:VEVENT\n"
    assert "先设 A;VALUE=3 再开" in calendar_markdown(event)
