"""Calendars and contacts (iCalendar, RFC 5545; vCard, RFC 6350) → an entry under its name."""

import quopri
import re
from collections.abc import Iterator

from rag_app.documents.encodings.damage import SKIPPED
from rag_app.documents.encodings.detection import decode
from rag_app.documents.text import clean, one_blank_line
from rag_app.errors import DocumentError

_FOLD = re.compile(r"\n[ \t]")
_JOINED = re.compile(r"(?<=[^\n])(?=(?:BEGIN|END):V[A-Z]{2,9}(?![A-Z]))")
"""Where a line is joined to the next one, since its end is lost."""
_QUOTED = re.compile(r"(?:=[0-9A-F]{2}){3,}")
"""What is encoded, though the parameter that says so is lost."""
_CODE = re.compile("(?<![!-~])=[89A-F][0-9A-F](?![0-9A-Za-z])")
"""What is left of that, but no value in an address."""
_SOFT_BREAK = re.compile(r"(;ENCODING=QUOTED-PRINTABLE[^\n]*)=\n", re.IGNORECASE)
_MOST_BREAKS = 300
_PROPERTY = re.compile(r"(?:[\w-]+\.)?([\w-]+)((?:;[^:;\"]*(?:\"[^\"]*\")?)*):(.*)", re.DOTALL)
_PARAMETER = re.compile(r";(?:([\w-]+)=)?(\"[^\"]*\"|[^;:]*)")
_ESCAPE = re.compile(r"\\([nN,;\\])")
_BLOB = re.compile(r"[A-Za-z0-9+/]{60,}={0,2}")
"""What is left of a picture whose first line is lost."""
_PARAMETER_LEFT = re.compile(
    r"[A-Z-]{0,12}(?<!\\);(?:TZID|VALUE|ENCODING|CHARSET|PARTSTAT|RSVP)=[\w/-]*:?"
)
"""What is left of properties that are cut; in a value a semicolon stands behind a backslash."""
_ADDRESS = re.compile(r"[^\s@<>]+@[^\s@<>]+")
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?")
_NAMED = {
    "DTSTART": "start", "DTEND": "end", "DUE": "due", "DURATION": "duration", "RRULE": "repeats",
    "LOCATION": "location", "ORGANIZER": "organizer", "ATTENDEE": "attendee", "STATUS": "status",
    "CATEGORIES": "categories", "DESCRIPTION": "description", "COMMENT": "comment", "URL": "url",
    "TEL": "tel", "EMAIL": "email", "ORG": "org", "TITLE": "title", "ROLE": "role",
    "ADR": "address", "NOTE": "note", "BDAY": "birthday", "NICKNAME": "nickname", "IMPP": "impp",
}  # fmt: skip
"""Properties that are for readers."""
_TITLES = ("SUMMARY", "FN", "N")
_STRUCTURED = frozenset({"N", "ORG", "ADR", "CATEGORIES"})
_UNREAD = frozenset({"VTIMEZONE", "VALARM"})


def calendar_markdown(text: str) -> str:
    r"""Return the entries of a calendar or of contacts, each under its name.

    Example:
        >>> event = "BEGIN:VEVENT\nSUMMARY:检修\nDTSTART:20260309T140000\nTEL:81\n 10\nEND:VEVENT"
        >>> calendar_markdown(event)
        '## 检修\n\nstart: 2026-03-09 14:00\ntel: 8110'
    """
    parts: list[str] = []
    title, lines = "", list[str]()
    for name, parameters, value in [*_properties(text), ("END", {}, "")]:
        if name in {"BEGIN", "END"}:
            parts += ["\n".join([f"## {title}\n", *lines] if title else lines)]
            title, lines = "", []
            continue
        said = _said(name, parameters, value)
        if name in _TITLES and not (title and name == "N"):
            title = " ".join(said.split())
        elif name == "X-WR-CALNAME":
            parts.append(f"# {said}")
        elif name in _NAMED and said:
            lines.append(f"{_NAMED[name]}{_kind(name, parameters)}: {said}")
    return one_blank_line(clean("\n\n".join(parts)))


def _properties(text: str) -> Iterator[tuple[str, dict[str, str], str]]:
    """Yield the properties, with their parameters, of all but time zones and alarms."""
    for _ in range(_MOST_BREAKS):  # one of each property at a time
        if (joined := _SOFT_BREAK.sub(r"\1", text)) == text:
            break
        text = joined
    unread: list[str] = []
    for line in _JOINED.sub("\n", _FOLD.sub("", text)).split("\n"):
        if not (found := _PROPERTY.fullmatch(line.strip())):
            continue
        name, value = found[1].upper(), found[3]
        if name == "BEGIN" and (unread or value.upper() in _UNREAD):
            unread.append(value)
        elif name == "END" and unread:
            unread.pop()
        elif not unread:
            yield name, _parameters(found[2]), value


def _parameters(written: str) -> dict[str, str]:
    """Return the parameters of a property; old cards give only their values."""
    found: dict[str, str] = {}
    for name, value in _PARAMETER.findall(written):
        key = name.upper() or "TYPE"
        found[key] = ", ".join(filter(None, (found.get(key), value.strip('"'))))
    return found


def _kind(name: str, parameters: dict[str, str]) -> str:
    kind = parameters.get("TYPE", "") if name in {"TEL", "EMAIL", "ADR"} else ""
    kind = "" if "printable" in kind.lower() else kind
    return f" ({kind.lower()})" if kind else ""


def _said(name: str, parameters: dict[str, str], value: str) -> str:
    if parameters.get("ENCODING", "").upper() == "QUOTED-PRINTABLE" or "QUOTED-PRINTABLE" in str(
        parameters.get("TYPE")
    ):
        raw = quopri.decodestring(value.encode("utf-8", "replace"))
        value = _decoded(raw, parameters.get("CHARSET", "utf-8"))
    value = _QUOTED.sub(lambda codes: _decoded(quopri.decodestring(codes[0]), "utf-8"), value)
    value = _CODE.sub(SKIPPED, value)
    if name in _STRUCTURED:
        pieces = re.split(r"(?<!\\)[;,]", value)
        value = " ".join(filter(None, map(str.strip, pieces)))
    if time := _TIME.fullmatch(value):
        return " ".join(filter(None, (_moment(time), parameters.get("TZID", ""))))
    value = _PARAMETER_LEFT.sub("", value)
    value = _BLOB.sub("", re.sub(r"^(?:mailto|tel):", "", value, flags=re.IGNORECASE))
    if name in {"ATTENDEE", "ORGANIZER"} and (named := parameters.get("CN")):
        value = f"{named} <{value}>" if _ADDRESS.fullmatch(value) else named
    text = _ESCAPE.sub(lambda mark: "\n" if mark[1] in "nN" else mark[1], value)
    return "\n".join(filter(None, map(str.strip, text.split("\n"))))


def _decoded(raw: bytes, charset: str) -> str:
    try:
        return decode(raw, "", declared=charset)[0]
    except DocumentError:
        return SKIPPED


def _moment(time: re.Match[str]) -> str:
    year, month, day, hour, minute, second, zone = time.groups()
    clock = f" {hour}:{minute}" + (f":{second}" if second != "00" else "") if hour else ""
    return f"{year}-{month}-{day}{clock}{' UTC' if zone else ''}"
