"""Transfer encodings of mail (RFC 2045) where the header that names them is damaged or missing."""

import binascii
import quopri
import re
from collections import Counter

TRANSFER_ENCODINGS = frozenset({"base64", "quoted-printable", "x-uuencode", "uuencode", "uue"})
"""What a header may name, and the parser then takes away."""
_SHORTEST = 56  # characters above which a line without a space is base64; mail writes 60 to 76
_DAMAGED = 0.04  # share of such a line, or of text of ASCII, that may be other characters
_RUN = re.compile(rb"(?<![\w:/.-])[A-Za-z0-9+/]{%d,}={0,2}" % _SHORTEST)
_BASE64 = re.compile(rb"[A-Za-z0-9+/]")
_NO_BASE64 = re.compile(r"[^A-Za-z0-9+/=]|=[^=]")
_REST = re.compile(rb"[A-Za-z0-9+/]{16,}={0,2}|[A-Za-z0-9+/]+={1,2}")  # what follows such a line
_QUOTED = re.compile(rb"(?:=[0-9A-Fa-f]{2}){3,}")
_QUOTED_BYTES = re.compile(rb"(?:=[89A-Fa-f][0-9A-Fa-f]){2,}")
"""Characters other than ASCII, as quoted-printable has them."""
_CUT_QUOTED = re.compile(
    rb"=[0-9A-Fa-f]?(?=[^0-9A-Fa-f\s=])|=[0-9A-F](?==|\Z)"
    rb"|(?<=[\r\n])[0-9A-F]{1,2}(?=(?:=[89A-F][0-9A-F]){2})"
)
_DAMAGED_CODE = re.compile(
    rb"(?<==[89A-F][0-9A-F])=(?![0-9A-Fa-f]{2})[^\r\n=]{1,2}(?==[89A-F][0-9A-F])"
)
_QUOTED_EQUALS = re.compile(rb"=3D|(?:=20)?=\r?\n|=20\r?\n")
"""The sign itself, as in the tags of a page, and lines that go on."""
_FULL_LINE, _ODD_LINE = rb"M(?!.*  )[ -`]{60}\s*\n", rb"(?:(?:.{56,66}|[!-~]{20,130})\n)?"
_UUENCODED = re.compile(
    rb"^begin [0-7]{3,4} .*\n(?:[ -`]{1,62}[\t\r\n]*\n)+end[ \t\r]*$"
    rb"|^(?:begin [0-7]{3,4} .*\n|%(full)s)(?:%(odd)s%(full)s)+"
    rb"(?:[!-L](?:[ -`]{4}){1,15}\s*\n)?(?:`\s*\n)?(?:end$)?"
    % {b"full": _FULL_LINE, b"odd": _ODD_LINE},
    re.MULTILINE,
)
"""A file within text, as mails had them before MIME, whole or damaged."""
_MOSTLY = 0.25


def without_transfer_encoding(data: bytes, *, damaged: bool = False) -> bytes:
    """Return what ``data`` encodes where all of it is base64 or quoted-printable, else itself."""
    lines = data.split()
    if lines and all(map(_is_base64, lines[:-1] or lines)):
        try:
            return binascii.a2b_base64(b"".join(lines), strict_mode=True)
        except binascii.Error:
            return data
    quoted = len(_QUOTED_BYTES.findall(data)) >= 2 or len(_QUOTED_EQUALS.findall(data)) >= 4
    plain = sum(byte < 0x80 for byte in data)
    if quoted and plain >= (1 - _DAMAGED) * len(data):
        data = marked(data)
        return quopri.decodestring(without_cut_codes(data) if damaged else data)
    return data


def marked(data: bytes) -> bytes:
    """Return quoted-printable with a byte of no character for a damaged code amid others."""
    return _DAMAGED_CODE.sub(b"=FF", data)


def without_cut_codes(data: bytes) -> bytes:
    """Return quoted-printable without the pieces that are left of its codes."""
    return _CUT_QUOTED.sub(b"", data)


def whole_base64(text: str) -> str:
    """Return base64 up to where it is damaged, in whole groups of four."""
    lines = text.split()
    usual, count = Counter(map(len, lines)).most_common(1)[0] if lines else (0, 0)
    if count > 1 and usual % 4 == 0:  # of lines that are cut and joined none is in step
        lines = [line for line in lines[:-1] if len(line) % 4 == 0] + lines[-1:]
    body = _NO_BASE64.split("".join(lines), maxsplit=1)[0].rstrip("=")
    padding = -len(body) % 4
    return body[:-1] if padding == 3 else body + "=" * padding


def without_codes(data: bytes) -> tuple[bytes, int]:
    """Return ``data`` without the lines and files that are encoded, and how many those are."""
    data, files = _UUENCODED.subn(b"", data)
    lines = data.splitlines(keepends=True)
    kept = []
    inside = False
    for line in lines:
        inside = _is_code(line.strip(), inside=inside)
        if not inside:
            kept.append(line)
    text = b"".join(kept)
    pieces = sum(map(_is_base64, _RUN.findall(text)))
    return _RUN.sub(_without_run, text), len(lines) - len(kept) + pieces + files


def _without_run(run: "re.Match[bytes]") -> bytes:
    """Return "" for a piece of base64 in a line that holds other text."""
    return b"" if _is_base64(run[0]) else run[0]


def _is_code(line: bytes, *, inside: bool) -> bool:
    if _is_base64(line) or (inside and _REST.fullmatch(line)):
        return True
    return sum(map(len, _QUOTED.findall(line))) > _MOSTLY * len(line)


def _is_base64(line: bytes) -> bool:
    """Return whether a line is base64; hexadecimal numbers, addresses and rules are not."""
    if len(line) < _SHORTEST or b"://" in line or b" " in line or b"\t" in line:
        return False
    own = b"".join(_BASE64.findall(line))
    mixed = own != own.upper() and own != own.lower()
    return mixed and len(own) >= (1 - _DAMAGED) * len(line)
