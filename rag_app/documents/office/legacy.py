"""Word, PowerPoint and WPS files of before 2007, through LibreOffice where it is installed."""

import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from rag_app.documents.formats import ExtractedText
from rag_app.documents.parts import ReadPart
from rag_app.documents.text import shown
from rag_app.errors import DocumentError

TIMEOUT = 120.0
"""Seconds that a conversion may take."""


def read_doc(data: bytes, name: str, read_part: ReadPart) -> ExtractedText:
    """Return the text of a Word or WPS Writer document."""
    return read_part(converted(data, name, "doc", "docx"), "converted.docx")


def read_ppt(data: bytes, name: str, read_part: ReadPart) -> ExtractedText:
    """Return the text of a PowerPoint or WPS Presentation file."""
    return read_part(converted(data, name, "ppt", "pptx"), "converted.pptx")


def converted(data: bytes, name: str, suffix: str, wanted: str) -> bytes:
    """Return a file as LibreOffice saves it in another format.

    Raises:
        DocumentError: LibreOffice is not installed, can't read the file, or takes too long.
    """
    program = shutil.which("soffice") or shutil.which("libreoffice")
    advice = f"open it in Word, WPS or LibreOffice and save it as .{wanted}"
    if program is None:
        raise DocumentError(
            f"{shown(name)} is in the format of before 2007, which takes LibreOffice to read; "
            f"install it, or {advice}"
        )
    with tempfile.TemporaryDirectory(prefix="rag-app-") as folder:
        source = Path(folder, f"document.{suffix}")
        source.write_bytes(data)
        # A profile of its own: a running LibreOffice would take the file over, or refuse.
        profile = Path(folder, "profile").as_uri()
        command = [program, f"-env:UserInstallation={profile}", "--headless", "--norestore"]
        command += ["--convert-to", wanted, "--outdir", folder, str(source)]
        if not _run(command, folder):
            msg = f"{shown(name)}: LibreOffice did not convert it within {TIMEOUT:.0f} s; {advice}"
            raise DocumentError(msg)
        result = source.with_suffix(f".{wanted}")
        if not result.is_file():
            raise DocumentError(f"{shown(name)} is damaged, or LibreOffice can't read it; {advice}")
        return result.read_bytes()


def _run(command: list[str], folder: str) -> bool:
    """Run a program that starts others; return whether it ended in time. None of them remains."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(TIMEOUT)
    except subprocess.TimeoutExpired:
        return False
    finally:
        with suppress(ProcessLookupError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:  # on Windows
                process.kill()
        process.wait()
    return True
