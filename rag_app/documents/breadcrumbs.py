"""What a passage stands under: the name of its document, the headings above it, its table's head.

A passage often does not name what it is about. It is embedded and searched with its breadcrumb in
front, and shown so to the model; its own text and offsets stay as they are.
"""

import re
from collections.abc import Sequence
from pathlib import PurePath

_FILE_NAME = re.compile(r"(.+?)(?:\.tar)?\.[A-Za-z][A-Za-z0-9]{0,8}")
_NAMELESS = re.compile(
    r"[\W\d_]*|[0-9a-f]{8,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|(?:img|image|dsc|scan|screenshot|doc|docx?|document|file|page|part|text|untitled|copy|new"
    r"|sample|test|data|tmp|temp|index|readme|扫描件?|文档|文件|图片|未命名|无标题|新建[^\d]{0,12}|副本)"
    r"[\W\d_]*",
    re.IGNORECASE,
)
"""Names that tell nothing of what is in a file: numbers, hashes, those that programs give."""
_CODE = re.compile(r"[A-Za-z]+[\W_]*\d[\W\d_]*")
_LONGEST = 300
"""Characters of a breadcrumb, of each of its lines: models embed little more than a passage."""


def document_name(source: str) -> str:
    """Return the name of a document's file without its suffix; nothing if it tells nothing.

    Example:
        >>> document_name("/docs/AB007产品白皮书.pdf"), document_name("IMG_2041.png")
        ('AB007产品白皮书', '')
    """
    found = _FILE_NAME.fullmatch(PurePath(source).name)
    return "" if not found or _NAMELESS.fullmatch(found[1]) else found[1]


def is_code(name: str) -> bool:
    """Return whether a name is a word with a number, which is searched for but has no meaning.

    Example:
        >>> is_code("TRIAL_12"), is_code("AB007产品白皮书")
        (True, False)
    """
    return _CODE.fullmatch(name) is not None


def breadcrumb(name: str, headings: Sequence[str] = (), table_head: str = "") -> str:
    r"""Return the lines that a passage is searched and read with.

    Example:
        >>> breadcrumb("水泵手册", ["保修"], "型号 | 年限")
        '水泵手册 › 保修\n型号 | 年限'
    """
    path = " › ".join(filter(None, [name, *headings]))
    return "\n".join(line[:_LONGEST] for line in (path, table_head) if line)
