"""How well and how fast pictures of pages are read, whose text is known.

Pages at 200 dots an inch are printed from the texts of ``docs_corpus`` and then scanned (noise, 3°
of skew), photographed (in perspective, unevenly lit, a little out of focus), set in two columns, or
written downwards. Printed for each: share of the characters that are right (one less the edit
distance over the length, white space aside), seconds and seconds of computing a page, peak memory.

    python -m tests.benchmarks.ocr [--pages 2] [--font FILE]
"""

import argparse
import random
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from rag_app.documents.ocr import read_picture
from rag_app.documents.pdf.page_text import page_of, text_of
from tests.benchmarks.reading import character_error, paragraphs_of_corpus

FONT = Path("/usr/share/fonts/opentype/noto/NotoSerifCJK-Regular.ttc")
SIMPLIFIED = 2
"""Of the fonts in the file."""
WIDTH, HEIGHT = 1654, 2339
"""A4 at 200 dots an inch."""
SIZE = 29
"""10.5 points, as most documents are printed."""
MARGIN = 180
NOT_FIRST = "，。；：、）”！？》"
"""Characters that begin no line."""

Page = tuple[Image.Image, str]
Font = ImageFont.FreeTypeFont


def wrapped(text: str, count: int) -> list[str]:
    """Break a text into lines of ``count`` characters, and one that hangs over if it must."""
    rows = []
    while text:
        end = count
        if text[end : end + 1] and text[end] in NOT_FIRST:
            end += 1
        while end < len(text) and text[end] in NOT_FIRST:
            end -= 1
        rows.append(text[:end])
        text = text[end:]
    return rows


def write(page: Image.Image, texts: Sequence[str], font: Font, left: int, right: int) -> str:
    """Write paragraphs between two edges until the page is full; return what was written."""
    draw = ImageDraw.Draw(page)
    y, written = MARGIN, ""
    for text in texts:
        for number, row in enumerate(wrapped("　　" + text, (right - left) // SIZE)):
            if y > HEIGHT - MARGIN:
                return written
            for place, char in enumerate(row):
                draw.text((left + place * SIZE, y), char, fill=0, font=font)
            written += row if number else row[2:]
            y += SIZE * 8 // 5
        y += SIZE // 3
    return written


def blank() -> Image.Image:
    return Image.new("L", (WIDTH, HEIGHT), 255)


def printed(texts: Sequence[str], font: Font) -> Page:
    page = blank()
    return page, write(page, texts, font, MARGIN, WIDTH - MARGIN)


def scanned(texts: Sequence[str], font: Font) -> Page:
    page, text = printed(texts, font)
    page = page.rotate(3, Image.Resampling.BICUBIC, expand=True, fillcolor=255)
    return noisy(page.filter(ImageFilter.GaussianBlur(0.6)), 22), text


def photographed(texts: Sequence[str], font: Font) -> Page:
    page, text = printed(texts, font)
    # Where the corners of the picture lie on the page: upper left, lower left, lower right, …
    corners = (-60, -90, -150, HEIGHT + 40, WIDTH + 190, HEIGHT + 130, WIDTH + 40, -30)
    page = page.transform(
        page.size, Image.Transform.QUAD, corners, Image.Resampling.BICUBIC, fillcolor=255
    )
    light = np.linspace(0.95, 0.6, WIDTH)[None, :] * np.linspace(1, 0.85, HEIGHT)[:, None]
    lit = Image.fromarray((np.asarray(page) * light).astype(np.uint8))
    return noisy(lit.filter(ImageFilter.GaussianBlur(0.9)), 8), text


def in_columns(texts: Sequence[str], font: Font) -> Page:
    page = blank()
    middle, half = WIDTH // 2, len(texts) // 2
    left = write(page, texts[:half], font, MARGIN, middle - 30)
    return page, left + write(page, texts[half:], font, middle + 30, WIDTH - MARGIN)


def downwards(texts: Sequence[str], font: Font) -> Page:
    page = blank()
    draw = ImageDraw.Draw(page)
    text = "".join(char for char in "".join(texts) if "\u4e00" <= char <= "\u9fff")
    count = (HEIGHT - 2 * MARGIN) // (SIZE + 4)
    columns = (WIDTH - 2 * MARGIN) // (2 * SIZE)
    for number in range(columns):
        for place, char in enumerate(text[number * count : (number + 1) * count]):
            x = WIDTH - MARGIN - 2 * SIZE * number
            draw.text((x, MARGIN + place * (SIZE + 4)), char, fill=0, font=font)
    return page, text[: columns * count]


def noisy(page: Image.Image, strength: float) -> Image.Image:
    grey = np.asarray(page).astype(float)
    grey += np.random.default_rng(0).normal(0, strength, grey.shape)
    return Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))


LAYOUTS: dict[str, Callable[[Sequence[str], Font], Page]] = {
    "print": printed,
    "scan": scanned,
    "photo": photographed,
    "two columns": in_columns,
    "vertical": downwards,
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=2, help="of each layout")
    parser.add_argument("--font", type=Path, default=FONT)
    parser.add_argument("--save", type=Path, help="a folder for the pages and what was read")
    options = parser.parse_args()
    font = ImageFont.truetype(str(options.font), SIZE, index=SIMPLIFIED)
    source = random.Random(0)
    texts = paragraphs_of_corpus()
    read_picture(Image.new("L", (64, 64), 255))  # the models are loaded once
    print(f"{'':12}{'characters':>12}{'right':>8}{'seconds':>9}{'computing':>11}{'peak MB':>9}")
    for name, draw in LAYOUTS.items():
        figures = []
        for number in range(options.pages):
            page, text = draw(source.sample(texts, 12), font)
            start, computed = time.perf_counter(), time.process_time()
            output = text_of([page_of(read_picture(page))]).text
            seconds = time.perf_counter() - start
            computed = time.process_time() - computed
            figures.append((len(text), 1 - character_error(text, output), seconds, computed))
            if options.save:
                page.save(options.save / f"{name} {number}.png")
                (options.save / f"{name} {number}.txt").write_text(f"{text}\n\n{output}", "utf-8")
        length, right, seconds, computed = map(mean, zip(*figures, strict=True))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(f"{name:12}{length:12.0f}{right:8.4f}{seconds:9.1f}{computed:11.1f}{peak:9}")


if __name__ == "__main__":
    main()
