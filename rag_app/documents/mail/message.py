"""Mails (RFC 5322) and web archives (RFC 2557) → Markdown."""

import codecs
import re
from collections import Counter
from collections.abc import Iterator
from email import policy
from email.errors import MissingHeaderBodySeparatorDefect
from email.message import Message
from email.parser import BytesParser

from rag_app.documents.encodings.damage import SKIPPED
from rag_app.documents.encodings.detection import decode
from rag_app.documents.formats import ExtractedText
from rag_app.documents.mail.damage import has_cut_header, without_marks
from rag_app.documents.mail.headers import filename, header
from rag_app.documents.mail.signature import signed_content
from rag_app.documents.mail.transfer_encoding import (
    TRANSFER_ENCODINGS,
    marked,
    whole_base64,
    without_codes,
    without_cut_codes,
    without_transfer_encoding,
)
from rag_app.documents.parts import ReadPart, read_parts
from rag_app.documents.text import clean, one_blank_line, shown, space_at_break
from rag_app.documents.web.html import declared_charset, is_markup, page_markdown, wider_charset
from rag_app.errors import DocumentError

_FIELDS = ("From", "To", "Cc", "Date")
_TEXTS = {"text/plain", "text/html", "text/markdown", "text/enriched"}
_NAMES = {
    "application/ms-tnef": "winmail.dat",
    "application/vnd.ms-tnef": "winmail.dat",
    "text/calendar": "invitation.ics",
}
"""Names of parts that mails hold without one."""
_SILENT = {
    "application/javascript", "application/pkcs7-signature", "application/x-pkcs7-signature",
    "application/pgp-signature",
}  # fmt: skip
"""Types of parts that say nothing to a reader."""
_SEALED = {"application/pkcs7-mime", "application/x-pkcs7-mime"}
_SEALED_FILE = re.compile(r"(.+\.\w{1,5})\.p7m", re.IGNORECASE)
_SHIFTED = {"utf-7", "hz-gb-2312"}  # charsets whose text is ASCII to whoever does not know of them
_START = 40  # bytes, of a header, which is mostly ASCII
_OF_TRANSPORT = re.compile(
    r"(?:(?:^|(?<=\ufffd))(?:Received|Received-SPF|Return-Path|Delivered-To|DKIM-Signature|X-[\w-]+"
    r"|ARC-[\w-]+|Authentication-Results|DomainKey-Signature|Mailing-List|Reply-To|In-Reply-To"
    r"|References|Message-ID|List-[\w-]+|MIME-Version|Content-[\w-]+)"
    r": ?.*(?:\n[ \t]+\S.*)*(?:\n|\Z)){2,}",
    re.MULTILINE | re.IGNORECASE,
)
"""Headers that no reader looks at: where they are in a body, it was damaged or sent back."""
_PART_HEAD = re.compile(r"^--\S{6,70}\n(?:Content-[\w-]+: .*\n?(?:[ \t]+\S.*\n?)*)+", re.MULTILINE)
"""Where a part of a message begins, which the parser did not see since it is damaged."""
_WORD = re.compile(r"[!-~]{8,200}")
_NAMED_BOUNDARY = re.compile(rb"boundary\s*=\s*\"?([^\s\";]{1,70})", re.IGNORECASE)
_BOUNDARY_LINE = re.compile(rb"^--((?:-*_?=_)?\w[!-~]{0,68}?)(?:--)?\s*$", re.MULTILINE)
_OF_ALL = ("From", "To", "Subject", "Date", "Received", "MIME-Version")
"""Headers of which each message has one."""
_SURE_PIECE = re.compile(r"(?=.*\d)(?!.*\.[A-Za-z]{2}|.*0{5}).*[A-Za-z_=]")
"""One that is no date and of no name of a host."""
_BOUNDARY = re.compile(r"^--\S{1,70}(?=\r?$)", re.MULTILINE)
_FIELD_LINE = re.compile(rb"[^\r\n].*\n")
_WHOLE_FIELD = re.compile(rb"From |[!-9;-~]*:|[ \t]")  # as Python's parser knows them
_DAMAGED_FIELD = re.compile(rb"(?![!-9;-~]*:|[ \t])[^ :\n]{1,60}: .*\n(?=[A-Za-z-]+: |\r?\n)")
_TYPE_NAME = re.compile(r"\s*[\w.+-]+/[\w.+-]+\s*(?:;|\Z)")
_ELEMENT = "(?:p|div|td|tr|span|body|html)"
_MARKUP = re.compile(f"</{_ELEMENT}>")
_TAG = re.compile(rf"</?{_ELEMENT}(?:\s[^<>]{{0,300}})?>")
_CUT_FIELD = re.compile(r"[A-Za-z-]{1,40}:?\s*")
"""A header whose name is damaged, and one at which the file ends."""
_BLANKED = bytes(8)
_HEAD, _MOST_BOUNDARIES, _CERTAIN, _LEAST, _PIECE = 1_000_000, 20, 12, 3, 10
"""Bytes that are looked at for boundaries, how many are known, and characters of those that are
certain without their lines before them, and with these alone, and of pieces shared by no word."""
_CODE_LEFT = re.compile(r"=[89A-F][0-9A-F](?=[^\x00-\x7f])|(?<=[^\x00-\x7f])=[89A-F][0-9A-F](?!\w)")
"""Codes beside characters of which others are lost."""
_SIGN_LOST = re.compile(rb"(?<==[89A-F][0-9A-F])[^=\r\n](?=[89A-F][0-9A-F]=[89A-F][0-9A-F])")
_FOLDED_BOUNDARY = re.compile(
    rb"boundary=\"[^\"\r\n]{1,70}\r?\n[ \t][^\"\r\n]{1,70}\"", re.IGNORECASE
)
_QUOTED, _SIGNATURE = re.compile(">+"), "-- "
_MOST_NESTED = 20  # parts in parts of one message


def read_mail(data: bytes, name: str, read_part: ReadPart) -> ExtractedText:
    """Return a mail: its subject, sender, receivers, date, text, and what it was sent with."""
    message = _parsed(data)
    mail = _Mail(name, data, message)
    body = mail.body(message)
    texts, notes = read_parts(mail.attachments, read_part)
    text = mail_text(
        mail.subject(message), [(field, header(message, field)) for field in _FIELDS], body
    )
    return ExtractedText("\n\n".join(filter(None, [text, *texts])), notes=[*mail.notes, *notes])


def read_web_archive(data: bytes, name: str) -> ExtractedText:
    """Return the page of a web archive (.mht), with those in its frames."""
    message = _parsed(data)
    mail = _Mail(name, data, message, archive=True)
    text = mail.body(message)
    pages = [page_markdown(page, of_site=True) for page in mail.frames]
    text = clean("\n\n".join(filter(None, [text, *pages])))
    return ExtractedText(text, notes=mail.notes)


def mail_text(subject: str, fields: list[tuple[str, str]], body: str) -> str:
    """Return a mail as Markdown."""
    head = "\n".join(f"{field}: {value}" for field, value in fields if value)
    title = f"# {subject}" if subject.strip(SKIPPED) else ""
    return one_blank_line(clean("\n\n".join(filter(None, [title, head, body]))))


def _parsed(data: bytes) -> Message:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # a mail pasted into an editor
        data = data.decode("utf-16", "replace").encode()
    elif data[:_START].count(0) > _START // 3:  # the same without a mark
        data = data.decode("utf-16-be" if data[0] == 0 else "utf-16-le", "replace").encode()
    data = _FOLDED_BOUNDARY.sub(lambda folded: b" ".join(folded[0].split()), data)
    data = _SIGN_LOST.sub(b"=", _without_damaged_fields(data.lstrip(b"\xef\xbb\xbf\r\n")))
    # Not the newer policies: they put U+FFFD for headers in GBK that are not encoded.
    return BytesParser(policy=policy.compat32).parsebytes(data)


def _without_damaged_fields(data: bytes) -> bytes:
    """Return a message without headers that a parser takes for the beginning of its body."""
    at = 0
    while field := _FIELD_LINE.match(data, at):
        if _DAMAGED_FIELD.match(data, at):
            data = data[:at] + data[field.end() :]
        elif not _WHOLE_FIELD.match(data, at):
            break
        else:
            at = field.end()
    return data


def _is_damaged(message: Message) -> bool:
    """Return whether the parser found faults in a message, or its headers are lost."""
    faults = any(part.defects or _lacks_type(part) for part in message.walk())
    return faults or not any(field in message for field in _OF_ALL)


def _lacks_type(part: Message) -> bool:
    """Return whether what names the type of a part is damaged."""
    named = part.get("Content-Type")
    return named is not None and not _TYPE_NAME.match(str(named))


def _is_cut(part: Message) -> bool:
    """Return whether what is between headers and body is neither."""
    return any(isinstance(defect, MissingHeaderBodySeparatorDefect) for defect in part.defects)


class _Mail:
    def __init__(self, name: str, data: bytes, message: Message, *, archive: bool = False) -> None:
        self.name = name
        marks = _marks(data)
        self.boundaries = [_finder(mark) for mark in marks]
        self.pieces = _pieces(marks)
        self.damaged = _is_damaged(message) or _BLANKED in data
        self.archive = archive
        self.attachments: list[tuple[str, bytes]] = []
        self.frames: list[str] = []
        self.notes: list[str] = []

    def subject(self, message: Message) -> str:
        """Return its subject."""
        return self._without_headers(header(message, "Subject")).strip()

    def body(self, part: Message, depth: int = 0) -> str:
        """Return the text of a message or part; what it was sent with becomes attachments."""
        if depth > _MOST_NESTED:
            raise DocumentError(f"{shown(self.name)} is nested too deep to be read")
        kind = part.get_content_type()
        inner = list(_inner(part))
        if kind == "message/rfc822" and inner:
            self.attachments.append((filename(part) or "mail.eml", _message(part, inner[0])))
            return ""
        if kind == "multipart/alternative":  # the last is the richest
            texts = (self.body(item, depth + 1) for item in reversed(inner))
            return next((text for text in texts if text.strip()), "")
        if kind == "multipart/related" and inner:
            text = self.body(inner[0], depth + 1)
            for item in inner[1:]:
                if item.get_content_type() == "text/html":
                    self.frames.append(self._without_headers(self._text(item)))
                elif not item.get_content_type().startswith(("image/", "text/css", "font/")):
                    self._attach(item)
            return text
        if inner:
            return "\n\n".join(filter(None, (self.body(item, depth + 1) for item in inner)))
        attached = part.get_content_disposition() == "attachment"
        if kind not in _TEXTS or (attached and filename(part)):
            self._attach(part)
            return ""
        return self._readable(part, is_page=kind == "text/html")

    def _readable(self, part: Message, *, is_page: bool) -> str:
        text = self._text(part)
        if _is_cut(part) and _CUT_FIELD.fullmatch(text):
            return ""
        text = self._without_headers(text)  # before a page's lines are joined
        is_page = is_page or text.lstrip()[:6].lower() == "<html>"
        lost = "Content-Type" not in part or _lacks_type(part)  # the header that says so
        if lost or self.damaged:
            is_page = is_page or is_markup(text) or (self.archive and lost and ">" in text)
            is_page = is_page or (self.damaged and lost and _MARKUP.search(text) is not None)
        if is_page:
            text = page_markdown(text, of_site=self.archive)
        elif self.damaged:
            text = _TAG.sub("", text)
        if self.archive:
            text = _BOUNDARY.sub("", text)
        return self._without_headers(text).strip()

    def _without_headers(self, text: str) -> str:
        text = _PART_HEAD.sub("", _OF_TRANSPORT.sub("", text))
        for boundary in self.boundaries:
            text = boundary.sub("", text)
        self.damaged = self.damaged or SKIPPED in text or has_cut_header(text)
        if not (self.damaged or any(map(self._is_piece, _BOUNDARY.findall(text)))):
            return text
        text = without_marks(_CODE_LEFT.sub("", text))
        return _WORD.sub(lambda word: "" if self._is_piece(word[0]) else word[0], text)

    def _is_piece(self, word: str) -> bool:
        """Return whether a word holds a piece of a boundary."""
        starts = range(len(word) - _PIECE + 1)
        return any(word[start : start + _PIECE] in self.pieces for start in starts)

    def _text(self, part: Message) -> str:
        data, codes = without_codes(_content(part, damaged=self.damaged))
        if codes:
            self.notes.append(f"{codes} lines are base64 or other codes and were not read")
        charset = part.get_content_charset()
        declared = wider_charset(charset) if charset else declared_charset(data)
        encoding = declared if declared in _SHIFTED else None
        text = decode(data, self.name, encoding, declared=declared)[0] if data.strip() else ""
        if str(part.get_param("format")).lower() == "flowed":
            text = _unflowed(text, spaced=str(part.get_param("delsp")).lower() != "yes")
        return text

    def _attach(self, part: Message) -> None:
        data = _content(part, damaged=False)
        certificates = part.get_param("smime-type") == "certs-only"
        if not data or certificates or part.get_content_type() in _SILENT:
            return
        if _is_sealed(part):
            self._attach_sealed(data, _name_of_sealed(part))
            return
        name = filename(part) or _NAMES.get(part.get_content_type(), "")
        if name:
            self.attachments.append((name, data))
        elif not part.get_content_type().startswith("image/"):
            self.notes.append(f"a part of type {shown(part.get_content_type())} was not read")

    def _attach_sealed(self, data: bytes, name: str) -> None:
        content = signed_content(data) if name else None
        if content is None:
            sealed = shown(name) if name else "the mail"
            note = f"{sealed} is encrypted (S/MIME); save a copy of it without encryption"
            self.notes.append(note)
        else:
            self.attachments.append((name, content))


def _unflowed(text: str, *, spaced: bool) -> str:
    """Return text with its paragraphs in one line, which ``format=flowed`` breaks (RFC 3676).

    ``spaced`` says whether the space before a break is one of the text.
    """
    lines: list[list[str]] = []  # of pieces
    before: int | None = None
    for line in text.splitlines():
        quoted = _QUOTED.match(line)
        depth = len(quoted[0]) if quoted else 0
        words = line[depth:].removeprefix(" ")
        if before == depth and words != _SIGNATURE:
            last = lines[-1][-1].removesuffix(" ")
            space = space_at_break(last[-1:], words[:1]) if spaced else ""
            lines[-1][-1:] = [last, space, words]
        else:
            lines.append([f"{line[:depth]} {words}" if depth else words])
        before = depth if words.endswith(" ") and words != _SIGNATURE else None
    return "\n".join(map("".join, lines))


def _inner(part: Message) -> Iterator[Message]:
    payload = part.get_payload()
    if isinstance(payload, list):
        yield from (item for item in payload if isinstance(item, Message))
    elif _is_sealed(part) and not _name_of_sealed(part):
        content = signed_content(_content(part, damaged=False))
        yield from [] if content is None else [_parsed(content)]


def _is_sealed(part: Message) -> bool:
    """Return whether a part is encrypted, or within its signature (S/MIME)."""
    return part.get_content_type() in _SEALED or filename(part).lower().endswith(".p7m")


def _name_of_sealed(part: Message) -> str:
    """Return the name of a file that is sealed, as ``a.pdf`` of ``a.pdf.p7m``; "" of a message."""
    name = _SEALED_FILE.fullmatch(filename(part))
    return name[1] if name else ""


def _marks(data: bytes) -> list[str]:
    """Return the boundaries of a mail that it names or has more than once, the longest first."""
    head = data[:_HEAD]
    lines = Counter(_BOUNDARY_LINE.findall(head))
    repeated = (line for line, count in lines.most_common(_MOST_BOUNDARIES) if count > 1)
    marks = {*_NAMED_BOUNDARY.findall(head)[:_MOST_BOUNDARIES], *repeated}
    return [mark.decode("ascii", "replace") for mark in sorted(marks, key=len, reverse=True)]


def _finder(mark: str) -> re.Pattern[str]:
    """Return a pattern for a boundary; of a long one with digits anywhere, else behind lines."""
    text = re.escape(mark)
    certain = len(mark) >= _CERTAIN and re.search(r"\d", mark)
    short = rf"--{text}(?:--)?(?!\w)" if len(mark) >= _LEAST else rf"^--{text}(?:--)?$"
    return re.compile(rf"-{{0,2}}{text}-{{0,2}}" if certain else short, re.MULTILINE)


def _pieces(marks: list[str]) -> frozenset[str]:
    """Return the pieces of boundaries, that show where one was."""
    pieces = {mark[at : at + _PIECE] for mark in marks for at in range(len(mark) - _PIECE + 1)}
    return frozenset(piece for piece in pieces if _SURE_PIECE.match(piece))


def _content(part: Message, *, damaged: bool) -> bytes:
    transfer = _transfer_encoding(part)
    payload = part.get_payload()
    if isinstance(payload, str) and transfer == "base64":
        part.set_payload(whole_base64(payload))
    elif isinstance(payload, str) and transfer == "quoted-printable" and payload.isascii():
        raw = marked(payload.encode())
        part.set_payload((without_cut_codes(raw) if damaged else raw).decode())
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return b""
    if transfer in TRANSFER_ENCODINGS:
        return data
    return without_transfer_encoding(data, damaged=damaged)


def _message(part: Message, inner: Message) -> bytes:
    """Return the message that a part holds; some programs encode it."""
    content = inner.as_bytes().lstrip()
    if not inner.keys() and _transfer_encoding(part) in TRANSFER_ENCODINGS:
        inner["Content-Transfer-Encoding"] = _transfer_encoding(part)
        return _content(inner, damaged=False)
    return content


def _transfer_encoding(part: Message) -> str:
    return str(part.get("Content-Transfer-Encoding", "")).strip().lower()
