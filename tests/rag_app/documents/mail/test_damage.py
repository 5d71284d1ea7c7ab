"""Damaged mails: files in lines of codes, pieces of boundaries, headers glued to text."""

import binascii

import pytest

from rag_app.documents.extraction import extract

MEETING = "会议改到周五上午九点。"
_MARK = "----=_NextPart_000_0081_01D2C91.033E7020"
_HEAD = f'Subject: a\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="{_MARK}"\n\n'
_UUENCODED = [
    binascii.b2a_uu(bytes(at * 7 % 256 for at in range(start, start + 45)), backtick=True).decode()
    for start in range(0, 450, 45)
]


def read(mail: str) -> str:
    return extract(mail.encode(), "eml", "a.eml").text


@pytest.mark.parametrize(
    "lines",
    [
        ["begin 644 a.gif\n", *_UUENCODED],
        _UUENCODED,
        [*_UUENCODED, "#````\n", "`\n", "end\n"],
        [*_UUENCODED[:4], _UUENCODED[4][:20] + "\ufffdx" + _UUENCODED[4][22:], *_UUENCODED[5:]],
        [*_UUENCODED[:4], _UUENCODED[4][:30] + _UUENCODED[5][10:], *_UUENCODED[6:]],
    ],
    ids=["no end", "no begin", "no name", "a byte", "joined"],
)
def test_a_file_in_lines_of_codes_of_which_some_are_lost_is_no_text(lines: list[str]) -> None:
    text = read(f"Subject: a\n\n{MEETING}\n\n{''.join(lines)}\n周五停电。\n")
    assert text.split() == ["#", "a", MEETING, "周五停电。"]


def test_lines_of_capitals_are_no_codes() -> None:
    lines = ["MINUTES OF THE MEETING".ljust(61, "."), ""]
    lines += [f"M{number:<30}{number:>30}" for number in range(3)]
    assert read("\n".join(["Subject: a\n", *lines])).split("\n")[2:] == lines


def test_a_beginning_of_codes_without_an_end_keeps_nobody_waiting() -> None:
    lines = ["begin 644 a.gif", *["AGENDA FOR MONDAY "] * 60, "x"]
    assert read("\n".join(["Subject: a\n", *lines])).split("\n")[2:] == lines


@pytest.mark.parametrize(
    "piece",
    [f"--{_MARK[:25]}", f'{_MARK[20:]}--"', f"--{_MARK.replace('Next', 'Ngxt')}", _MARK[12:30]],
)
def test_pieces_of_a_boundary_are_no_text(piece: str) -> None:
    part = f"--{_MARK}\nContent-Type: text/plain; charset=utf-8\n\n"
    text = read(f"{_HEAD}{part}\ufffd{MEETING}\n{piece} 周五停电。\n--{_MARK}--\n")
    assert text.replace("\ufffd", "").split() == ["#", "a", MEETING, "周五停电。"]


def test_a_number_that_a_boundary_holds_too_is_text() -> None:
    mark, order = "----=_Part_0_1.1699999999123", "订单1699999999"
    head = f'Subject: a\nContent-Type: multipart/mixed; boundary="{mark}"\n\n--{mark}\n\n'
    assert read(f"{head}{MEETING}\n{order}\n").split() == ["#", "a", MEETING, order]


def test_a_damaged_boundary_shows_that_a_mail_is_damaged() -> None:
    flipped = _MARK.replace("Next", "Ngxt")
    parts = f"--{_MARK}\n\n{MEETING}\n--{flipped}\nX-Mailer: a\nContent-Typo: b\n\n周五停电。\n"
    assert read(f"{_HEAD}{parts}--{_MARK}--\n").split() == ["#", "a", MEETING, "周五停电。"]


@pytest.mark.parametrize(
    ("glued", "left"),
    [
        ("We met thReturn-Path: <a@b.example>", "We met th"),
        ("We met thMessage-ID: <3923.CAA8@b.example>", "We met th"),
        ("We met thReceived: from a.example by b.example\n\tfor <c@d.example>", "We met th"),
        ("\tby a.example (8.8.5/8.8.5) with ESMTP id NAA18138", ""),
        ("aXBpdC4K", ""),
        ("We met forFp1pH99x6SgR2tY", "We met"),
        ("We met MacBookPro and iPhone", "We met MacBookPro and iPhone"),
        ("Notified with id r4B0037M000000", "Notified with id r4B0037M000000"),
        ("https://a.example/view?id=Fp1pH99x6SgR2tY", "https://a.example/view?id=Fp1pH99x6SgR2tY"),
    ],
)
def test_headers_and_codes_glued_to_the_text_of_a_damaged_mail(glued: str, left: str) -> None:
    text = read(f"SMTP id g1-20020a0cf\n\n{MEETING}\n{glued}\n周五停电。\n")
    assert text.partition("\n\n")[2].split() == [MEETING, *left.split(), "周五停电。"]
    whole = f"Subject: a\nFrom: b@c.example\n\n{MEETING}\n{glued}\n".strip()
    assert read(whole).endswith(glued.strip())
