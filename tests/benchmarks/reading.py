"""What becomes of PDF pages whose text is known, beside markitdown and pdfplumber, in one run.

Pages of eight layouts are drawn from the texts of ``docs_corpus``: plain paragraphs, running heads,
two columns drawn row by row, characters set apart, vertical writing, footnotes, tables with and
without lines. Printed for each reader:

- character error: edit distance to the text in reading order over its length, white space aside;
- sentences whole: share of the sentences that stand in the output to the letter, spaces included;
- order: share of neighbouring sentences in the right order;
- cells: share of table cells that stand beside their row's name and under their column's.

``--pdfs FOLDER`` reads all PDFs of a folder as well and prints the share of the characters that
PDFium finds in them which are in the output, and the seconds a page.

docling is not among the readers: it fetches its layout and table models from a hub at first use,
and no package carries them. The lines that its parser finds, in the parser's order, are measured
where ``docling-parse`` is installed.
"""

import argparse
import io
import itertools
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from statistics import mean

from rapidfuzz.distance import Levenshtein
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfgen.canvas import Canvas

from rag_app.documents.pdf.reader import read_pdf
from rag_app.errors import DocumentError
from tests.paths import CORPUS
from tests.rag_app.documents.pdf.drawing import SONG, WIDTH, lines, pdf, ruled_table

Reader = Callable[[bytes], str]
_MARKS = re.compile(r"[\s#|*_\\-]+")
_PER_LAYOUT = 6
_MARGIN = 60


@dataclass
class Sample:
    """A file and what it says."""

    layout: str
    data: bytes
    text: str = ""
    tables: list[list[list[str]]] = field(default_factory=list)


def ours(data: bytes) -> str:
    return read_pdf(data, "sample.pdf").text


def markitdown(data: bytes) -> str:
    from markitdown import StreamInfo
    from markitdown.converters import PdfConverter

    info = StreamInfo(extension=".pdf", mimetype="application/pdf")
    return str(PdfConverter().convert(io.BytesIO(data), info).markdown)


def pdfplumber(data: bytes) -> str:
    import pdfplumber as library

    parts = []
    with library.open(io.BytesIO(data)) as document:
        for page in document.pages:
            parts.append(page.extract_text() or "")
            for table in page.extract_tables():
                parts += [" | ".join(cell or "" for cell in row) for row in table]
    return "\n".join(parts)


def docling_parse(data: bytes) -> str:
    from docling_core.types.doc.page import TextCellUnit
    from docling_parse.pdf_parser import DoclingPdfParser

    document = DoclingPdfParser(loglevel="fatal").load(io.BytesIO(data))
    pages = (
        page.iterate_cells(unit_type=TextCellUnit.LINE) for _, page in document.iterate_pages()
    )
    return "\n".join(line.text for lines in pages for line in lines)


READERS: dict[str, Reader] = {"ours": ours, "markitdown": markitdown, "pdfplumber": pdfplumber}
if find_spec("docling_parse"):
    READERS["docling-parse"] = docling_parse


def wrapped(text: str, width: float, size: float = 12, tracking: float = 0) -> list[str]:
    """Break a text where a line of ``width`` points is full, as a word processor does."""
    found, line = [], ""
    for char in text:
        new = pdfmetrics.stringWidth(line + char, SONG, size) + tracking * len(line + char)
        if line and new > width and char not in "，。；：、）”！？":
            found.append(line)
            line = ""
        line += char
    return [*found, line]


def paragraphs_of_corpus() -> list[str]:
    """Chinese paragraphs of plain text."""
    found = []
    for name in ("doc.txt", "du_fu.txt", "sample.txt", "临溪镇志.txt", "鹿溪古道.txt"):
        for line in (CORPUS / name).read_text(encoding="utf-8").splitlines():
            text = "".join(line.split())
            if 60 <= len(text) <= 400 and re.fullmatch(r"[^A-Za-z#|]+", text):
                found.append(text)
    return found


def draw_prose(texts: Sequence[str]) -> Sample:
    def page(canvas: Canvas) -> None:
        y = 780.0
        for text in texts:
            y = lines(canvas, wrapped(text, WIDTH - 2 * _MARGIN), y=y) - 6

    return Sample("paragraphs", pdf(page), "\n".join(texts))


def draw_running_heads(texts: Sequence[str]) -> Sample:
    full = [wrapped(text, WIDTH - 2 * _MARGIN) for text in texts]
    rows = [row for text in full for row in text]
    third = len(rows) // 3

    def page(number: int) -> Callable[[Canvas], None]:
        def draw(canvas: Canvas) -> None:
            lines(canvas, ["江南地区历史文献选编"], y=815, size=9)
            lines(canvas, rows[number * third : None if number == 2 else (number + 1) * third])
            lines(canvas, [f"— {number + 12} —"], x=280, y=35, size=9)

        return draw

    return Sample("running heads", pdf(*map(page, range(3))), "\n".join(texts))


def draw_columns(texts: Sequence[str]) -> Sample:
    column = 225.0
    sides = [[row for text in half for row in wrapped(text, column)] for half in
             (texts[: len(texts) // 2], texts[len(texts) // 2 :])]  # fmt: skip

    def page(canvas: Canvas) -> None:
        for number in range(max(map(len, sides))):
            for side, x in zip(sides, (_MARGIN, 320), strict=True):
                if number < len(side):
                    lines(canvas, [side[number]], x=x, y=780 - 18 * number)

    return Sample("two columns", pdf(page), "\n".join(texts))


def draw_tracked(texts: Sequence[str]) -> Sample:
    def page(canvas: Canvas) -> None:
        y = 780.0
        for text in texts:
            rows = wrapped(text, WIDTH - 2 * _MARGIN, tracking=3)
            y = lines(canvas, rows, y=y, tracking=3) - 6

    return Sample("set apart", pdf(page), "\n".join(texts))


def draw_vertical(texts: Sequence[str]) -> Sample:
    text = texts[0]
    columns = [text[start : start + 40] for start in range(0, len(text), 40)]

    def page(canvas: Canvas) -> None:
        for number, column in reversed(list(enumerate(columns))):
            for place, char in enumerate(column):
                lines(canvas, [char], x=500 - 24 * number, y=780 - 14 * place, size=14)

    return Sample("vertical", pdf(page), text)


def draw_footnotes(texts: Sequence[str]) -> Sample:
    rows = [row for text in texts for row in wrapped(text, WIDTH - 2 * _MARGIN)]
    half = len(rows) // 2
    note = "① 本节的数字以档案馆所藏的原件为准，单位从旧制。"

    def first(canvas: Canvas) -> None:
        lines(canvas, rows[:half])
        lines(canvas, [note], y=60, size=8)

    def second(canvas: Canvas) -> None:
        lines(canvas, rows[half:])

    return Sample("footnotes", pdf(first, second), "\n".join(texts))


def table_rows(source: random.Random) -> list[list[str]]:
    names = source.sample(["无锡店", "常州店", "苏州店", "南通店", "扬州店", "镇江店"], 5)
    head = ["门店", *source.sample(["一月", "二月", "三月", "四月", "五月"], 3)]
    return [head] + [
        [name, *(source.choice(["", str(source.randint(10, 9999))]) for _ in range(3))]
        for name in names
    ]


def draw_ruled(texts: Sequence[str], source: random.Random) -> Sample:
    rows = table_rows(source)

    def page(canvas: Canvas) -> None:
        lines(canvas, wrapped(texts[0], WIDTH - 2 * _MARGIN))
        ruled_table(canvas, rows, y=620)

    return Sample("ruled table", pdf(page), "", [rows])


def draw_open(texts: Sequence[str], source: random.Random) -> Sample:
    rows = table_rows(source)

    def page(canvas: Canvas) -> None:
        lines(canvas, wrapped(texts[0], WIDTH - 2 * _MARGIN))
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                lines(canvas, [cell], x=70 + 120 * column, y=620 - 20 * number)

    return Sample("open table", pdf(page), "", [rows])


def samples() -> Iterator[Sample]:
    """The same pages at each run."""
    source = random.Random(0)
    texts = paragraphs_of_corpus()
    for _ in range(_PER_LAYOUT):
        chosen = source.sample(texts, 4)
        for draw in (draw_prose, draw_running_heads, draw_columns, draw_tracked, draw_vertical,
                     draw_footnotes):  # fmt: skip
            yield draw(chosen)
        yield draw_ruled(chosen, source)
        yield draw_open(chosen, source)


def sentences(text: str) -> list[str]:
    return [part for part in re.findall(r"[^。！？\n]+[。！？]", text) if len(part) >= 8]


def character_error(text: str, output: str) -> float:
    wanted, got = _MARKS.sub("", text), _MARKS.sub("", output)
    return Levenshtein.distance(wanted, got) / len(wanted)


def order(text: str, output: str) -> float:
    flat = _MARKS.sub("", output)
    places = [flat.find(_MARKS.sub("", part)[:12]) for part in sentences(text)]
    pairs = list(itertools.pairwise(places))
    return mean(0 <= first < second for first, second in pairs)


def whole(text: str, output: str) -> float:
    return mean(part in output for part in sentences(text))


def cells(rows: Sequence[Sequence[str]], output: str) -> float:
    """Share of the cells, empty ones too, whose column and row the output tells."""
    found = output.split("\n")
    head = next((_split(line) for line in found if len(_split(line)) == len(rows[0])), None)

    def tells(line: str, column: int, cell: str) -> bool:
        parts = _split(line)
        named = f"{rows[0][column]}: {cell}" in line if cell else f"{rows[0][column]}:" not in line
        placed = head == list(rows[0]) and len(parts) == len(head) and parts[column] == cell
        return placed or (": " in line and named)

    return mean(
        any(tells(line, column, cell) for line in found if row[0] in line)
        for row in rows[1:]
        for column, cell in enumerate(row[1:], 1)
    )


def _split(line: str) -> list[str]:
    return [part.strip() for part in line.strip().strip("|").split("|")]


def measure_samples() -> None:
    """Print the table for pages whose text is known."""
    made = list(samples())
    print(f"{len(made)} files\n\n{'':16}" + "".join(f"{name:>28}" for name in READERS))
    print(f"{'layout':16}" + f"{'error':>10}{'whole':>9}{'order':>9}" * len(READERS))
    outputs = {name: [read(sample.data) for sample in made] for name, read in READERS.items()}
    texts = [layout for layout in dict.fromkeys(s.layout for s in made) if "table" not in layout]
    for layout in texts:
        _print_row(layout, made, outputs, {layout})
    _print_row("all of these", made, outputs, set(texts))
    for layout in ("ruled table", "open table"):
        line = f"{layout:16}"
        for written in outputs.values():
            pairs = zip(made, written, strict=True)
            score = mean(cells(s.tables[0], output) for s, output in pairs if s.layout == layout)
            line += f"{f'cells {score:.3f}':>28}"
        print(line)


def _print_row(
    name: str, made: Sequence[Sample], outputs: Mapping[str, Sequence[str]], layouts: set[str]
) -> None:
    line = f"{name:16}"
    for written in outputs.values():
        pairs = [(s.text, o) for s, o in zip(made, written, strict=True) if s.layout in layouts]
        for judge, width in ((character_error, 10), (whole, 9), (order, 9)):
            line += f"{mean(judge(text, output) for text, output in pairs):>{width}.3f}"
    print(line)


def measure_folder(folder: Path) -> None:
    """Print what of the characters of real files is kept, and the time a page."""
    import pypdfium2

    kept: dict[str, list[float]] = {name: [] for name in READERS}
    seconds: dict[str, float] = dict.fromkeys(READERS, 0.0)
    pages = 0
    for file in sorted(folder.rglob("*.pdf")):
        data = file.read_bytes()
        try:
            with pypdfium2.PdfDocument(data) as document:
                raw = "".join(page.get_textpage().get_text_range() for page in document)
                count = len(document)
            ours(data)
        except (pypdfium2.PdfiumError, DocumentError):
            continue
        pages += count
        wanted = Counter(char for char in raw if char.isalnum())
        for name, read in READERS.items():
            start = time.perf_counter()
            got = Counter(char for char in read(data) if char.isalnum())
            seconds[name] += time.perf_counter() - start
            kept[name].append((wanted & got).total() / max(wanted.total(), 1))
    print(f"\n{len(kept['ours'])} real files, {pages} pages")
    for name in READERS:
        share, each = mean(kept[name]), seconds[name] / pages
        least = min(kept[name])
        print(f"{name:12} characters kept {share:.4f}, least {least:.3f}; {each:.3f} s a page")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pdfs", type=Path, help="a folder of real PDFs")
    arguments = parser.parse_args()
    measure_samples()
    if arguments.pdfs:
        measure_folder(arguments.pdfs)


if __name__ == "__main__":
    main()
