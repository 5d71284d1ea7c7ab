"""Parts of Word documents in other formats (ECMA-376, 17.17.2): web pages, RTF, plain text."""


def text_of_chunk(data: bytes, part: str) -> str | None:
    """Return the text of a part, None if its format is not one of these.

    Args:
        data: Its content.
        part: Its name in the document.
    """
    suffix = part.lower().rpartition(".")[2]
    if suffix in {"mht", "mhtml"} or data[:200].startswith(b"MIME-Version:"):
        from rag_app.documents.mail.message import read_web_archive

        return read_web_archive(data, part).text
    if suffix == "rtf" or data.startswith(b"{\\rtf"):
        from rag_app.documents.office.rtf.reader import read_rtf

        return read_rtf(data, part).text
    from rag_app.documents.encodings.detection import decode

    if suffix in {"htm", "html", "xhtml"} or b"<html" in data.lower():
        from rag_app.documents.web.html import declared_charset, page_markdown

        return page_markdown(decode(data, part, declared=declared_charset(data))[0])
    return decode(data, part)[0] if suffix == "txt" else None
