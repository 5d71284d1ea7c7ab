import math
from functools import partial

from reportlab.pdfgen.canvas import Canvas

from rag_app.documents.pdf.reader import read_pdf
from tests.rag_app.documents.pdf.drawing import SONG, lines, pdf

PROSE = [
    "泵站值班人员每两小时巡视一次，发现异常立即报告。",
    "水位超过三米五时启动第二台水泵，并通知调度室。",
    "交接班须当面完成，双方在记录本上签字。",
    "台风期间增加一人值守，检查挡水板与沙袋。",
    "维修工具用后放回原处，每月清点一次。",
    "无关人员不得进入机房，来访者须登记。",
]


def watermark(canvas: Canvas, text: str, x: float, y: float) -> None:
    canvas.saveState()
    canvas.translate(x, y)
    canvas.rotate(30)
    lines(canvas, [text], x=0, y=0, size=24)
    canvas.restoreState()


def test_a_watermark_stands_in_no_sentence_and_is_said_once() -> None:
    def page(canvas: Canvas, texts: list[str]) -> None:
        lines(canvas, texts)
        for x, y in ((80, 690), (80, 740), (250, 690), (400, 700)):
            watermark(canvas, "内部资料 0917", x, y)

    pages = (partial(page, texts=texts) for texts in (PROSE[:3], PROSE[3:]))
    text = read_pdf(pdf(*pages), "规程.pdf").text
    assert text.count("内部资料 0917") == 1
    for line in PROSE:
        assert line in text
    assert "#" not in text


def test_the_words_around_a_stamp_are_a_line() -> None:
    words = "江北水务集团有限公司"

    def page(canvas: Canvas) -> None:
        lines(canvas, ["甲方：江北水务", "日期：2025年9月17日"], y=600)
        canvas.setFont(SONG, 12)
        for number, char in enumerate(words):
            angle = math.radians(160 - 140 / (len(words) - 1) * number)
            canvas.saveState()
            canvas.translate(120 + 40 * math.cos(angle), 580 + 40 * math.sin(angle))
            canvas.rotate(math.degrees(angle) - 90)
            canvas.drawCentredString(0, 0, char)
            canvas.restoreState()

    text = read_pdf(pdf(page), "合同.pdf").text
    assert words in text
    assert "甲方：江北水务\n日期：2025年9月17日" in text


def test_a_page_that_stands_aslant_is_read_in_lines() -> None:
    def page(canvas: Canvas) -> None:
        canvas.rotate(6)
        lines(canvas, ["第一行：水位三米。", "第二行：流量五方。"], x=150, y=500)

    text = read_pdf(pdf(page), "记录.pdf").text
    assert text.index("第一行：水位三米。") < text.index("第二行：流量五方。")


def test_italics_stand_in_their_lines() -> None:
    def page(canvas: Canvas) -> None:
        lines(canvas, PROSE[:3])
        canvas.saveState()
        canvas.transform(1, 0, 0.3, 1, 60, 720)
        lines(canvas, ["斜体的一行：巡视路线见附图。"], x=0, y=0)
        canvas.restoreState()
        lines(canvas, PROSE[3:], y=690)

    text = read_pdf(pdf(page), "规程.pdf").text
    assert text.index(PROSE[2]) < text.index("斜体的一行：巡视路线见附图。") < text.index(PROSE[3])


def test_slanted_names_of_columns_are_read_with_them_on_each_page() -> None:
    def page(canvas: Canvas, names: list[str]) -> None:
        lines(canvas, PROSE)
        for number, name in enumerate(names):
            canvas.saveState()
            canvas.translate(170 + 70 * number, 600)
            canvas.rotate(40)
            lines(canvas, [name], x=0, y=0)
            canvas.restoreState()
            lines(canvas, [f"{number}{row}" for row in range(3)], x=170 + 70 * number, y=580)
        lines(canvas, ["北区", "南区", "东区"], y=580)

    first, second = ["总销量", "净成本", "税金"], ["销量", "成本", "税"]
    text = read_pdf(pdf(partial(page, names=first), partial(page, names=second)), "表.pdf").text
    assert "北区; 总销量: 00; 净成本: 10; 税金: 20" in text
    assert "北区; 销量: 00; 成本: 10; 税: 20" in text


def test_a_watermark_that_an_edge_cuts_is_said_once_but_no_shorter_word() -> None:
    def page(canvas: Canvas, text: str) -> None:
        lines(canvas, PROSE)
        watermark(canvas, text, 100, 500)

    texts = ["内部资料严禁外传二〇二五", "严禁外传二〇二五", "外传"]
    text = read_pdf(pdf(*(partial(page, text=each) for each in texts)), "规程.pdf").text
    assert text.count("二〇二五") == 1
    assert text.count("外传") == 2
