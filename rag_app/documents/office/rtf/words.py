"""Words of RTF that a reader knows: groups that are not shown, characters, character sets."""

CODE_PAGES = {
    77: "mac_roman",
    128: "cp932",
    129: "cp949",
    130: "johab",
    134: "gb18030",
    136: "cp950",
    161: "cp1253",
    162: "cp1254",
    163: "cp1258",
    177: "cp1255",
    178: "cp1256",
    186: "cp1257",
    204: "cp1251",
    222: "cp874",
    238: "cp1250",
}
"""Character set of a font → encoding."""
UNREAD = frozenset(
    """
    fonttbl colortbl stylesheet info pict objdata themedata colorschememapping datastore listtable
    listoverridetable rsidtbl generator xmlnstbl latentstyles fldinst filetbl revtbl pgptbl
    nonshppict bkmkstart bkmkend template userprops xe tc atnid atnauthor atnref atndate
    wgrffmtfilter mmathPr falt panose pn pnseclvl sn sv ftnsep ftnsepc aftnsep aftnsepc
    nonesttables
    """.split()  # noqa: SIM905
)
"""Groups whose text isn't shown."""
OF_TABLES = frozenset(
    """
    froman fswiss fnil fmodern fscript fdecor ftech fbidi fcharset fprq red green blue sbasedon
    snext slink spriority listid listtemplateid levelnfc leveljc levelstartat levelfollow levelspace
    hyphlead hyphtrail hyphmax lsdpriority lsdlocked
    """.split()  # noqa: SIM905
)
"""Words of tables' entries. Elsewhere the beginning of the table is damaged."""
SHOWN = frozenset({"shptxt", "shpinst", "annotation", "footnote", "mmath", "pntext", "cs"})
"""What is marked as unknown to old readers, and stands before text all the same."""
CHARACTERS = {
    "tab": "\t",
    "line": "\n",
    "emdash": "—",
    "endash": "–",
    "emspace": "\u2003",
    "enspace": "\u2002",
    "lquote": "‘",
    "rquote": "’",
    "ldblquote": "“",
    "rdblquote": "”",
    "bullet": "•",
    "nestcell": " ",
    "lbr": "\n",
}
SYMBOLS = b"{}\\~_-*|:\r\n"
"""What a backslash may be before, other than words and bytes."""
LOOKS = frozenset({"v", "deleted", "strike", "striked", "super", "nosupersub", "sub", "cf"})
BEHIND = frozenset({"highlight", "chcbpat", "cbpat", "cb"})
"""Words that colour what is behind text."""


def known_codec(codec: str, other: str) -> str:
    """Return the codec of a code page, ``other`` where Python has none."""
    wider = {"cp936": "gb18030", "cp65001": "utf-8", "cp0": other, "cp10000": "mac_roman"}
    codec = wider.get(codec, codec)
    try:
        b"".decode(codec)
    except LookupError:
        return other
    return codec
