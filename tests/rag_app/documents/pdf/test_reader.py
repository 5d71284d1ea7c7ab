import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas

from rag_app.documents.formats import ExtractedText
from rag_app.documents.loaders import FileLoader
from rag_app.documents.pdf.reader import read_pdf
from rag_app.documents.splitters import ChineseTextSplitter
from rag_app.errors import DocumentError
from tests.rag_app.documents import making
from tests.rag_app.documents.pdf.drawing import HEIGHT, SONG, lines, pdf, ruled_table

PROSE = [
    "本镇图书馆每周二至周日开放，开放时间为上午九点到下午五点，节假",
    "日照常开放。读者凭借书证每次可以借阅图书五册，借期三十天，到期",
    "可以续借一次。遗失图书按照原价的两倍赔偿。",
]
JOINED = "".join(PROSE)


def read(*pages: Callable[[Canvas], object]) -> ExtractedText:
    return read_pdf(pdf(*pages), "手册.pdf")


def test_a_number_broken_by_the_end_of_a_line_is_one_again() -> None:
    text = ["由仓储部门的两名保管员共同登记在编号为20231", "5的台账里，保存期限不少于五年。"]
    assert read(lambda canvas: lines(canvas, text)).text == "".join(text)


def test_the_zeros_of_a_number_belong_to_it_however_short_its_line_is() -> None:
    parts = [*PROSE[:2], "可以续借一次，单价超过人民币800", "0元的图书不外借，遗失须赔偿。"]
    assert read(lambda canvas: lines(canvas, parts)).text == "".join(parts)
    parts = [*PROSE[:2], "去年的产量是800", "2024年的产量是900", "08时开门"]
    assert read(lambda canvas: lines(canvas, parts)).text.endswith(
        "800\n2024年的产量是900\n08时开门"
    )


def test_raised_text_is_an_exponent_and_lowered_text_stays_in_its_line() -> None:
    def page(canvas: Canvas) -> None:
        item = canvas.beginText(60, 780)
        for text, rise in (
            ("容积10", 0),
            ("-3", 6),
            ("升，H", 0),
            ("2", -4),
            ("O，每吨99.", 0),
            ("50", 5),
        ):
            item.setFont(SONG, 8 if rise else 12)
            item.setRise(rise)
            item.textOut(text)
        canvas.drawText(item)

    assert read(page).text == "容积10⁻³升，H2O，每吨99.50"


def test_a_paragraph_is_one_line() -> None:
    assert read(lambda canvas: lines(canvas, PROSE)).text == JOINED


def test_english_words_keep_their_spaces() -> None:
    text = ["Readers may borrow five books at a time for", "thirty days and renew each of them"]
    page = read(lambda canvas: lines(canvas, text, font="Helvetica"))
    assert page.text == " ".join(text)


@pytest.mark.parametrize("tracking", [2, 3, 6, 10])
def test_characters_set_apart_have_no_spaces_between_them(tracking: float) -> None:
    texts = ["关于城市供水的几项规定", "水费按月收取，逾期三十天未缴的可以停止供水。"]
    page = read(lambda canvas: lines(canvas, texts, tracking=tracking))
    assert page.text == "\n".join(texts)


def test_letters_set_apart_are_words() -> None:
    page = read(lambda canvas: lines(canvas, ["IMPORTANT NOTICE"], font="Helvetica", tracking=6))
    assert page.text == "IMPORTANT NOTICE"


def test_what_leads_to_a_page_number_is_shortened() -> None:
    text = [f"第一章 总则{'.' * 40}1", f"第二章 职责 {'· ' * 30}12"]
    assert read(lambda canvas: lines(canvas, text)).text == "第一章 总则 … 1\n第二章职责 … 12"


def test_each_entry_of_a_table_of_contents_is_a_line() -> None:
    entries = [f"{number}.1 阀门的检验{'.' * 40}{number}" for number in (1, 2, 3)]
    broken = ["3.2 阀门在投入使用以前以及管", f"道的检验{'.' * 44}4"]
    found = read(
        lambda canvas: lines(canvas, ["第一章 阀门的检验以及其他的规定 1", *entries, *broken])
    ).text
    assert found.splitlines() == [
        "第一章 阀门的检验以及其他的规定 1",
        "1.1 阀门的检验 … 1",
        "2.1 阀门的检验 … 2",
        "3.1 阀门的检验 … 3",
        "3.2 阀门在投入使用以前以及管道的检验 … 4",
    ]


def test_parts_of_a_high_bracket_are_no_vertical_writing() -> None:
    def page(canvas: Canvas) -> None:
        lines(canvas, ["The sum of both is shown in the next line."], font="Helvetica")
        lines(canvas, ["｜", "｜", "｜"], y=740, leading=12)
        lines(canvas, ["a + b"], x=80, y=728, font="Helvetica")

    assert read(page).text.startswith("The sum of both is shown in the next line.")


def test_the_last_entry_of_a_page_does_not_go_on_in_the_first_of_the_next() -> None:
    entries = [f"{at}.1 {name}{'.' * 40}{at}" for at, name in enumerate("阀管泵炉", 1)]
    pages = (partial(lines, texts=entries[:2]), partial(lines, texts=entries[2:]))
    assert "2.1 管 … 2\n\n3.1 泵 … 3" in read(*pages).text


def test_a_letter_that_leans_over_the_space_before_it_leaves_it_there() -> None:
    def page(canvas: Canvas) -> None:
        end = 60 + canvas.stringWidth("the timing of", "Times-Italic", 12)
        lines(canvas, ["the timing of"], font="Times-Italic")
        lines(canvas, ["flow reductions"], x=end + 2.6, font="Times-Italic")

    assert read(page).text == "the timing of flow reductions"


def test_an_exponent_beside_an_index_is_no_word_of_its_own() -> None:
    def page(canvas: Canvas) -> None:
        end = 60 + canvas.stringWidth("the HCO", "Times-Roman", 12)
        lines(canvas, ["the HCO"], font="Times-Roman")
        lines(canvas, ["3"], x=end + 0.4, y=778, size=6, font="Times-Roman")
        lines(canvas, ["–"], x=end + 3.8, y=785, size=6, font="Times-Roman")

    assert read(page).text == "the HCO3–"


def test_what_is_filled_into_a_form_stands_in_its_fields() -> None:
    def page(canvas: Canvas) -> None:
        lines(canvas, ["Name:", "City:", "I agree"], font="Helvetica", leading=40)
        canvas.acroForm.textfield(value="Ann Lee", name="name", x=120, y=775, width=200, height=18)
        options = ["Oslo", "Rome"]
        canvas.acroForm.choice(
            value="Rome", options=options, name="city", x=120, y=735, width=90, height=18
        )
        canvas.acroForm.checkbox(checked=True, name="agree", x=120, y=698, size=14)

    assert read(page).text.split("\n") == ["Name: Ann Lee", "City: Rome", "I agree: ☑"]


def test_comments_on_a_page_are_marked() -> None:
    def page(canvas: Canvas) -> None:
        lines(canvas, ["水泵共有二百台。"])
        canvas.textAnnotation("应为三百台", Rect=[200, 770, 220, 790])
        canvas.textAnnotation("水泵共有", Rect=[60, 770, 80, 790])  # what it is about

    assert read(page).text == "水泵共有二百台。\n\n> 批注: 应为三百台"


LEFT = ["本镇图书馆每周二至周日开放，开放时", "间为上午九点到下午五点。读者凭借书",
        "证每次可以借阅图书五册，借期三十天，", "到期可以续借一次。"]  # fmt: skip
RIGHT = ["自习室在三楼，共有座位一百二十个，", "需要在前一天晚上八点以后预约。迟到",
         "二十分钟以上的，座位自动释放，一个", "月内违约三次的不能再预约。"]  # fmt: skip


@pytest.mark.parametrize("right_top", [700.0, 691.0])
def test_columns_are_read_one_after_the_other(right_top: float) -> None:
    def page(canvas: Canvas) -> None:
        lines(canvas, ["镇图书馆、自习室和儿童阅览室的读者须知（二〇二四年修订）"], y=760, x=120)
        for number, pair in enumerate(zip(LEFT, RIGHT, strict=True)):
            lines(canvas, [pair[0]], y=700 - 18 * number)
            lines(canvas, [pair[1]], x=320, y=right_top - 18 * number)

    text = read(page).text
    assert "".join(LEFT) in text
    assert "".join(RIGHT) in text
    assert text.index("须知") < text.index(LEFT[0]) < text.index(RIGHT[0])


def test_columns_whose_lines_stand_at_different_heights() -> None:
    words = "供热企业应当公告供热参数电话并接受监督管理"  # as wide as a column
    columns = [
        ["大桥合龙", *[words] * 6, "首栏到此为止。"],
        ["米。", "菜价回落", *[words] * 5, "二栏到此为止。"],
        [*[words] * 3, "停水通知", *[words] * 3, "三栏到此为止。"],
        [*[words] * 7, "末栏到此为止。"],
    ]

    def page(canvas: Canvas) -> None:
        for number, column in enumerate(columns):
            y = 760.0
            for text in column:
                title = len(text) == 4
                lines(canvas, [text], x=20 + 142 * number, y=y - 3 * title, size=9 if title else 6)
                y -= 19 if title else 12

    text = read(page).text
    ends = [text.find(f"{side}栏到此为止。") for side in "首二三末"]
    assert (
        -1 < ends[0] < text.find("菜价回落") < ends[1] < text.find("停水通知") < ends[2] < ends[3]
    )


def test_vertical_writing_goes_from_right_to_left() -> None:
    def page(canvas: Canvas) -> None:
        for number, column in enumerate(
            ("改設義渡不收渡資其後", "東門石橋建於乾隆十二", "縣志卷三橋梁")
        ):
            for place, char in enumerate(column):
                lines(canvas, [char], x=300 + 40 * number, y=760 - 14 * place, size=14)

    text = read(page).text
    assert text.index("縣志卷三") < text.index("東門石橋") < text.index("改設義渡")


@pytest.mark.parametrize("angle", [90, 180, 270])
def test_a_turned_page_is_read_upright(angle: int) -> None:
    def page(canvas: Canvas) -> None:
        canvas.translate(300, 420)
        canvas.rotate(angle)
        lines(canvas, PROSE, x=-200, y=100)

    assert read(page).text == JOINED


def test_running_heads_and_page_numbers_stand_in_no_sentence() -> None:
    body = [
        ["水泵的检修周期为每三个月一次，检修的时候须停机，并且由两名工人",
         "共同在场。润滑油在运行四百小时以后更换，更换的间隔由班组长根据"],
        ["实际运行时间确定。更换以后，把旧油交给环保部门，登记在设备的台",
         "账里，保存三年。"],
        ["备件库在二号厂房的一楼，钥匙由值班人员保管，领用时登记，月底由"],
    ]  # fmt: skip

    def page(number: int) -> Callable[[Canvas], object]:
        def draw(canvas: Canvas) -> None:
            lines(canvas, ["江南水务集团设备手册"], y=810, size=9)
            lines(canvas, body[number], y=760)
            lines(canvas, [f"第 {number + 1} 页"], x=280, y=40, size=9)

        return draw

    read_text = read(*(page(number) for number in range(3)))
    assert "由班组长根据实际运行时间确定" in read_text.text
    assert read_text.text.count("江南水务集团设备手册") == 1
    assert "页" not in read_text.text
    second = read_text.text.index("实际运行时间确定")
    assert read_text.page_starts[1] == second


def test_numbers_of_forms_on_each_page_are_no_running_heads() -> None:
    def page(number: str, total: str) -> Callable[[Canvas], object]:
        def draw(canvas: Canvas) -> None:
            lines(canvas, [f"发票号码：{number}"], y=800)
            lines(canvas, PROSE, y=700)
            lines(canvas, [f"合计 {total} 元"], y=60)

        return draw

    text = read(page("88125501", "350"), page("88120017", "99"), page("88129940", "120")).text
    found = [word for word in ("88120017", "88129940", "350", "99", "120") if word in text]
    assert found == ["88120017", "88129940", "350", "99", "120"]


def test_a_table_has_each_value_under_its_column() -> None:
    rows = [
        ["项目", "一月", "二月", "三月"],
        ["差异甲", "-12", "", "45"],
        ["差异乙", "", "778", ""],
    ]

    def page(canvas: Canvas) -> None:
        lines(canvas, ["各项目的差异如下表所示："], y=760)
        ruled_table(canvas, rows)
        lines(canvas, ["表中的单位是万元。"], y=600)

    text = read(page).text
    assert "项目: 差异甲; 一月: -12; 三月: 45" in text
    assert "项目: 差异乙; 二月: 778" in text
    assert text.index("如下表") < text.index("差异甲") < text.index("单位是万元")


def test_a_printed_form_says_each_of_its_cells_once() -> None:
    """Its cells are of as many widths as it has rows, so that its grid is much finer."""
    widths = [[300, 180], [300, 180], [150, 150, 180], [75, 75, 75, 75, 180], [120, 240, 120],
              [40, 200, 60, 180]]  # fmt: skip
    cells = [
        ["发货人：海丰轻工有限公司", "托运单号：OST24060771"],
        ["收货人：开普敦物流公司", ""],
        ["前程运输", "装货港：宁波", ""],
        ["唛头", "件数", "品名", "体积", "毛重：16吨"],
        ["客户自拖", "装柜时间：七月五日", "报关：自报"],
        ["运费", "预付", "到付", "经办人"],
    ]

    def page(canvas: Canvas) -> None:
        y = 700.0
        for row, texts in zip(widths, cells, strict=True):
            x = 60.0
            for width, text in zip(row, texts, strict=True):
                canvas.line(x, y, x, y - 30)
                if text:
                    canvas.line(x, y, x + width, y)
                    lines(canvas, [text], x=x + 3, y=y - 20, size=9)
                x += width
            canvas.line(x, y, x, y - 30)
            y -= 30
        canvas.line(60, y, x, y)

    text = read(page).text
    written = [cell for row in cells for cell in row if cell]
    assert [text.count(cell) for cell in written] == [1] * len(written)
    assert "客户自拖 | 装柜时间：七月五日 | 报关：自报" in text


def merged_cells(canvas: Canvas, cells: Mapping[str, tuple[float, ...]]) -> None:
    """Draw texts into frames: left, top, right, bottom."""
    for text, (left, top, right, bottom) in cells.items():
        canvas.rect(left, bottom, right - left, top - bottom)
        lines(canvas, [text], x=left + 5, y=top - 18)


def test_cells_of_a_form_that_begin_at_different_heights_are_said_once() -> None:
    cells = {
        "发货人：若水公司": (60, 700, 260, 640), "编号：10718390": (260, 700, 400, 670),
        "电子证书": (400, 700, 500, 670), "收货人：深圳公司": (60, 640, 260, 580),
        "产地证明书": (260, 670, 500, 610), "原产国：法国": (260, 610, 500, 580),
    }  # fmt: skip
    text = read(lambda canvas: merged_cells(canvas, cells)).text
    assert [text.count(cell) for cell in cells] == [1] * len(cells)


def test_a_timetable_says_for_each_hour_what_goes_on() -> None:
    cells = {
        "时间": (60, 700, 160, 670), "周一": (160, 700, 260, 670), "周二": (260, 700, 360, 670),
        "9点": (60, 670, 160, 640), "10点": (60, 640, 160, 610), "11点": (60, 610, 160, 580),
        "数学": (160, 670, 260, 610), "体育": (160, 610, 260, 580),
        "英语": (260, 640, 360, 580), "音乐": (260, 670, 360, 640),
    }  # fmt: skip
    text = read(lambda canvas: merged_cells(canvas, cells)).text
    assert text.splitlines() == [
        "时间: 9点; 周一: 数学; 周二: 音乐",
        "时间: 10点; 周一: 数学; 周二: 英语",
        "时间: 11点; 周一: 体育; 周二: 英语",
    ]


def test_tables_whose_lines_stand_above_each_other_are_two() -> None:
    years = [["年份", "评级", "展望"], ["2022", "AA", "稳定"], ["2023", "AA+", "稳定"]]
    banks = [["序号", "银行", "授信总额"], ["1", "工商银行", "330"], ["2", "徽商银行", "262"]]

    def page(canvas: Canvas) -> None:
        ruled_table(canvas, years, x=61, y=760, width=90)
        lines(canvas, ["截至2023年3月末，授信总额达592亿元。"], x=70, y=660)
        ruled_table(canvas, banks, x=59.2, y=630, width=92)

    text = read(page).text
    assert "年份: 2023; 评级: AA+; 展望: 稳定\n\n截至2023年3月末，授信总额达592亿元。" in text
    assert text.endswith("序号: 2; 银行: 徽商银行; 授信总额: 262")


def test_a_word_that_hangs_over_the_edge_of_its_cell_is_whole() -> None:
    rows = [["Code", "Name", "Amount"], ["", "", "12"], ["", "", "34"]]

    def page(canvas: Canvas) -> None:
        ruled_table(canvas, rows, width=60)
        lines(canvas, ["Complementary"], x=64, y=663, font="Helvetica")
        lines(canvas, ["Unemployment"], x=64, y=641, font="Helvetica")

    assert "Complementary" in (text := read(page).text)
    assert "Unemployment" in text


def in_a_form(canvas: Canvas, draw: Callable[[Canvas], object], *place: float) -> None:
    """Draw into a form, as programs embed figures, and put it on the page by a matrix."""
    canvas.beginForm("figure")
    draw(canvas)
    canvas.endForm()
    canvas.saveState()
    canvas.transform(*place)
    canvas.doForm("figure")
    canvas.restoreState()


def test_the_lines_of_a_figure_lie_where_it_stands() -> None:
    def page(canvas: Canvas) -> None:
        def axes(canvas: Canvas) -> None:
            canvas.rect(50, 40, 460, 760)
            canvas.line(50, 400, 510, 400)
            canvas.line(280, 40, 280, 800)

        in_a_form(canvas, axes, 0.2, 0, 0, 0.2, 400, 20)
        lines(canvas, LEFT, y=700)
        lines(canvas, RIGHT, x=320, y=700)

    assert read(page).text.replace("\n", "") == "".join(LEFT + RIGHT)


def test_a_table_in_a_form_is_one() -> None:
    def page(canvas: Canvas) -> None:
        rows = [["门店", "一月"], ["无锡店", "131"]]
        in_a_form(canvas, lambda canvas: ruled_table(canvas, rows, x=0, y=50), 1, 0, 0, 1, 80, 600)

    assert read(page).text == "门店: 无锡店; 一月: 131"


def test_a_table_goes_on_over_the_page_under_its_head() -> None:
    head = ["站点", "首班", "末班"]
    stops = [[f"站{number}", "5:30", "" if number % 2 else "21:00"] for number in range(30)]

    def first(canvas: Canvas) -> None:
        ruled_table(canvas, [head, *stops[:28]], y=HEIGHT - 60)

    def second(canvas: Canvas) -> None:
        ruled_table(canvas, stops[28:], y=HEIGHT - 60)
        lines(canvas, ["末班车不等人。"], y=600)

    text = read(first, second).text
    assert (
        "站点: 站27; 首班: 5:30\n站点: 站28; 首班: 5:30; 末班: 21:00\n站点: 站29; 首班: 5:30"
        in text
    )
    assert text.endswith("末班车不等人。")


def test_a_table_without_lines_has_rows() -> None:
    rows = [["门店", "销售额", "同比"], ["无锡店", "131.5", "-4.2%"], ["常州店", "88.0", "1.9%"],
            ["苏州店", "402.7", "12.0%"]]  # fmt: skip

    def page(canvas: Canvas) -> None:
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                lines(canvas, [cell], x=60 + 120 * column, y=760 - 20 * number)

    assert "门店: 常州店; 销售额: 88.0; 同比: 1.9%" in read(page).text


def test_a_cell_whose_width_breaks_its_text_is_one_row() -> None:
    def page(canvas: Canvas) -> None:
        ruled_table(canvas, [["章", "要求"], ["", ""], ["", ""]], width=180, height=40)
        for y, number in ((645, "1"), (605, "2")):
            lines(canvas, ["第", f"{number}项"], x=64, y=y, leading=16)
            lines(canvas, ["开始前十日应当公告参数和电话", "并接受监督。"], x=244, y=y, leading=16)

    assert "章: 第2项; 要求: 开始前十日应当公告参数和电话并接受监督。" in read(page).text


@pytest.mark.parametrize("framed", [False, True])
def test_one_row_under_the_names_of_its_columns(framed: bool) -> None:
    rows = [["项目名称", "数量", "单价", "税额"], ["运输服务", "1", "800.00", "72.00"]]

    def page(canvas: Canvas) -> None:
        for number, row in enumerate(rows):
            for column, cell in enumerate(row):
                lines(canvas, [cell], x=60 + 110 * column, y=760 - 20 * number)
        if framed:
            canvas.rect(50, 600, 480, 190)
            canvas.line(50, 660, 530, 660)
            lines(canvas, ["价税合计 捌佰柒拾贰元整"], y=640)

    assert "项目名称: 运输服务; 数量: 1; 单价: 800.00; 税额: 72.00" in read(page).text


def test_the_first_of_short_lines_side_by_side_names_none_of_the_others() -> None:
    def page(canvas: Canvas) -> None:
        lines(canvas, ["行政部 电话 8110", "财务部 电话 8120", "市场部 电话 8130"], x=60, y=700)
        lines(canvas, ["一楼 前台", "二楼 会议室", "三楼 食堂"], x=330, y=700)

    rows = ["行政部 电话 8110 | 一楼 前台", "财务部 电话 8120 | 二楼 会议室"]
    assert read(page).text.split("\n")[:2] == rows


def test_three_lists_side_by_side_have_no_head() -> None:
    def page(canvas: Canvas) -> None:
        for x, words in ((60, "苹果 香蕉 樱桃"), (220, "白菜 菠菜 芹菜"), (380, "猪肉 牛肉 羊肉")):
            lines(canvas, words.split(), x=x, y=700)

    assert read(page).text.split("\n") == [
        "苹果 | 白菜 | 猪肉", "香蕉 | 菠菜 | 牛肉", "樱桃 | 芹菜 | 羊肉",
    ]  # fmt: skip


def test_a_bold_row_above_words_is_their_head() -> None:
    def page(canvas: Canvas) -> None:
        for x, words in ((60, "Post fitter welder"), (200, "Needs papers practice")):
            name, *values = words.split()
            lines(canvas, [name], x=x, y=718, font="Helvetica-Bold")
            lines(canvas, values, x=x, y=700, font="Helvetica")

    assert "Post: welder; Needs: practice" in read(page).text


def test_lists_side_by_side_are_read_one_after_the_other() -> None:
    def page(canvas: Canvas) -> None:
        for x, items in ((60, "甲乙丙"), (300, "丁戊己")):
            lines(canvas, [f"• {item}方意见" for item in items], x=x, y=700)

    words = [line.strip("• ") for line in read(page).text.split("\n")]
    assert words == [f"{item}方意见" for item in "甲乙丙丁戊己"]


def test_a_cell_over_several_columns_of_a_table_without_lines() -> None:
    rows = ["序号 检验项目 - 结果", "- 外观 尺寸/mm -", "1 无裂纹 12.5 合格", "2 有划痕 12.9 返工"]

    def page(canvas: Canvas) -> None:
        for number, row in enumerate(rows):
            for column, cell in enumerate(row.split()):
                if cell != "-":
                    lines(canvas, [cell], x=60 + 120 * column, y=760 - 20 * number)

    line = "序号: 1; 检验项目/外观: 无裂纹; 检验项目/尺寸/mm: 12.5; 结果: 合格"
    assert line in read(page).text


def test_short_lines_alone_are_a_list() -> None:
    certificates = ["注册会计师", "法律职业资格", "教师资格"]
    assert read(lambda canvas: lines(canvas, certificates)).text.split() == certificates


def test_large_lines_are_headings() -> None:
    def page(canvas: Canvas) -> None:
        lines(canvas, ["设备手册"], y=800, size=22)
        lines(canvas, ["水泵"], y=750, size=16)
        lines(canvas, PROSE, y=710)

    assert read(page).text == f"# 设备手册\n\n## 水泵\n\n{JOINED}"


def test_a_bold_line_over_text_is_a_heading() -> None:
    words = "The pump moves water from the tank to the boiler and back again."

    def page(canvas: Canvas) -> None:
        y = 780.0
        for title in ("Scope", "Total: 5"):
            y = lines(canvas, [title], y=y, font="Helvetica-Bold")
            y = lines(canvas, [words] * 2, y=y, font="Helvetica") - 10
        lines(canvas, ["Last words"], y=y, font="Helvetica-Bold")

    text = read(page).text
    assert text.startswith(f"# Scope\n\n{words}")
    assert text.count("#") == 1


def test_footnotes_stand_apart() -> None:
    def first(canvas: Canvas) -> None:
        lines(canvas, PROSE[:2], y=760)
        lines(canvas, ["① 数字以二〇二三年的普查为准。"], y=60, size=8)

    def second(canvas: Canvas) -> None:
        lines(canvas, PROSE[2:], y=760)

    text = read(first, second).text
    assert JOINED in text
    assert "① 数字以二〇二三年的普查为准。" in text


def test_bold_made_by_drawing_twice_is_written_once() -> None:
    def page(canvas: Canvas) -> None:
        lines(canvas, ["停水检修公告"])
        lines(canvas, ["停水检修公告"], x=60.4)
        lines(canvas, ["Illinois, 1177 ffi"], y=600, font="Helvetica")
        lines(canvas, ["Illinois, 1177 ffi"], x=61, y=599, font="Helvetica")

    assert read(page).text == "停水检修公告\n\nIllinois, 1177 ffi"


def test_codes_of_a_font_are_not_taken_for_text() -> None:
    with pytest.raises(DocumentError, match="font"):
        read(lambda canvas: lines(canvas, ["!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"], font="Courier"))


def test_codes_that_are_read_a_digit_too_late_are_left_out_and_counted() -> None:
    data = making.pdf(["请假须提前三个工作日申请。", "譵ѹ螶㴅ⓐ"])
    found = read_pdf(data, "a.pdf")
    assert found.text == "请假须提前三个工作日申请。"
    assert found.notes == ["5 damaged characters on page 1 were left out; get it or save it again"]


def test_pages_that_are_pictures_are_counted() -> None:
    from PIL import Image
    from reportlab.lib.utils import ImageReader

    scan = ImageReader(Image.new("L", (400, 600), 255))

    def picture(canvas: Canvas) -> None:
        canvas.drawImage(scan, 0, 0, 595, HEIGHT)

    result = read(lambda canvas: lines(canvas, PROSE), picture, picture)
    assert result.text == JOINED
    assert len(result.notes) == 1
    assert "2 of 3 pages" in result.notes[0]
    assert "2-3" in result.notes[0]


def test_each_line_has_its_box_on_the_page() -> None:
    result = read(
        lambda canvas: lines(canvas, PROSE), lambda canvas: lines(canvas, ["第二页的话。"])
    )
    assert [result.text[box.start : box.end] for box in result.boxes] == [*PROSE, "第二页的话。"]
    assert [box.page for box in result.boxes] == [1, 1, 1, 2]
    first = result.boxes[0]
    assert 59 < first.left < 61
    assert first.bottom < 782 < first.top


def test_a_passage_knows_where_its_lines_stand() -> None:
    from pathlib import Path

    from rag_app.documents.loaders import FileLoader
    from rag_app.documents.splitters import ChineseTextSplitter

    Path("a.pdf").write_bytes(pdf(lambda canvas: lines(canvas, [*PROSE, "另一段的话。"])))
    documents = FileLoader("a.pdf").load()
    chunks = ChineseTextSplitter(chunk_size=80, chunk_overlap=0).split_documents(documents)
    assert len(chunks) == 2
    text = documents[0].page_content
    for chunk in chunks:
        boxes = chunk.metadata["boxes"]
        shown = "".join(text[start:end] for start, end, *_ in boxes)
        assert chunk.page_content.replace("\n", "") in shown
        assert all(page == 1 for _, _, page, *_ in boxes)
    assert len(chunks[1].metadata["boxes"]) < len(documents[0].metadata["boxes"])


def test_characters_beyond_the_basic_plane_are_one() -> None:
    text = read_pdf(making.pdf(["户主姓名：𠮷田𠀋"]), "户口.pdf").text
    assert text.replace(" ", "") == "户主姓名：𠮷田𠀋"  # each is drawn as wide as two


def test_the_head_of_a_long_table_stands_above_its_lines_on_every_page() -> None:
    def page(rows: Sequence[Sequence[str]]) -> Callable[[Canvas], None]:
        def draw(canvas: Canvas) -> None:
            for column, name in enumerate(("城市", "人口", "年份")):
                lines(canvas, [name], x=64 + 90 * column, y=705)
            ruled_table(canvas, rows)

        return draw

    first = [["绍兴", "5270", "2020"], ["嘉兴", "5400", "2021"]]
    second = [["湖州", "3367", "2022"], ["舟山", "1158", "2023"]]
    text = read_pdf(pdf(page(first), page(second)), "a.pdf").text
    assert [line for line in text.split("\n") if line] == [
        "城市: 绍兴; 人口: 5270; 年份: 2020",
        "城市: 嘉兴; 人口: 5400; 年份: 2021",
        "城市: 湖州; 人口: 3367; 年份: 2022",
        "城市: 舟山; 人口: 1158; 年份: 2023",
    ]


def test_fields_above_a_table_without_lines_are_not_its_head() -> None:
    fields = ["姓名：王芳", "年龄：50岁", "科室：内科"]
    rows = [
        ["项目", "结果", "参考范围"],
        ["白细胞", "3.9", "4.0-10.0"],
        ["红细胞", "5.4", "4.3-5.8"],
        ["血小板", "149", "125-350"],
    ]

    def page(canvas: Canvas) -> None:
        for number, row in enumerate([fields, *rows]):
            for column, cell in enumerate(row):
                lines(canvas, [cell], x=60 + 150 * column, y=760 - 18 * number)

    text = read(page).text
    assert "项目: 白细胞; 结果: 3.9; 参考范围: 4.0-10.0" in text
    assert text.startswith(fields[0])


def test_bullets_far_from_their_items_are_no_column() -> None:
    items = ["给定初始的速度", "高能炸药的起爆", "节点的压力载荷", "无反射的边界"]

    def page(canvas: Canvas) -> None:
        for number, item in enumerate(items):
            lines(canvas, ["•"], x=60, y=760 - 18 * number)
            lines(canvas, [item], x=90, y=760 - 18 * number)

    assert read(page).text.split("\n") == [f"• {item}" for item in items]


@pytest.mark.parametrize("bullet", ["•", "➢", "\uf0d8", "\uf0b7"])
def test_lines_that_begin_with_a_bullet_are_apart(bullet: str) -> None:
    first = "二〇一五年四月至今 上海迈外迪网络科技有限公司 高级产品经理"
    items = [
        f"{bullet} 改造现有广告人工投放方式并搭建广告自主投放平台实现自动投放",
        "系统审核与数据统计",
    ]
    text = read(lambda canvas: lines(canvas, [first, *items], x=60, y=760)).text
    assert text.split("\n")[0] == first


def named(text: str, glyphs: dict[str, str]) -> str:
    """Return what is read of text in a font that names some of its characters otherwise."""
    codes = "".join(
        f"<{ord(code):02x}> <{name.encode('utf-16-be').hex()}>\n" for code, name in glyphs.items()
    )
    cmap = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n1 begincodespacerange\n"
        f"<00> <ff>\nendcodespacerange\n{len(glyphs)} beginbfchar\n{codes}endbfchar\n"
        "endcmap end end"
    )
    content = f"BT /F 12 Tf 60 700 Td ({text}) Tj ET"
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        (
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]"
            "/Resources<</Font<</F 4 0 R>>>>/Contents 6 0 R>>"
        ),
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/ToUnicode 5 0 R>>",
        f"<</Length {len(cmap)}>>stream\n{cmap}\nendstream",
        f"<</Length {len(content)}>>stream\n{content}\nendstream",
    ]
    body = "".join(f"{at} 0 obj\n{text}\nendobj\n" for at, text in enumerate(objects, 1))
    return read_pdf(f"%PDF-1.4\n{body}trailer<</Root 1 0 R>>".encode(), "a.pdf").text


def test_both_letters_of_a_ligature_are_read() -> None:
    glyphs = {"A": "ff", "B": "ffi", "-": "\u2011"}
    assert named("staA oBce-2 efectBve", glyphs) == "staff office-2 efectffive"


def test_cells_that_a_width_breaks_are_one_row_without_lines_too() -> None:
    rows = [(0, "项目", "内容", "月费"), (26, "保洁", "办公楼公共区域每日清扫两", "12,800"),
            (42, "", "次并清洗玻璃", ""), (68, "绿化", "草坪修剪", "9,600"),
            (94, "安保", "二十四小时三班巡逻", "36,500")]  # fmt: skip

    def page(canvas: Canvas) -> None:
        for down, *row in rows:
            for x, cell in zip((60, 130, 330), row, strict=True):
                lines(canvas, [cell] if cell else [], x=x, y=700 - down)

    text = read(page).text
    assert "项目: 保洁; 内容: 办公楼公共区域每日清扫两次并清洗玻璃; 月费: 12,800" in text
    assert "项目: 绿化; 内容: 草坪修剪; 月费: 9,600" in text


def test_the_space_between_chinese_and_latin_joins_no_columns() -> None:
    rows = [
        ("编号", "名称", "口径"),
        ("F1", "阀门 1", "7"),
        ("F2", "阀门 2", "14"),
        ("F3", "阀门 3", "21"),
    ]

    def page(canvas: Canvas) -> None:
        for number, (code, name, size) in enumerate(rows):
            y = 700 - 20 * number
            lines(canvas, [code], x=60, y=y)
            lines(canvas, [name[:2]], x=110, y=y)
            lines(canvas, [name[3:]] if len(name) > 2 else [], x=137, y=y)
            lines(canvas, [size], x=157, y=y)

    assert "编号: F2; 名称: 阀门2; 口径: 14" in read(page).text


def test_digits_in_one_place_of_a_vertical_column() -> None:
    def page(canvas: Canvas) -> None:
        for x, column in ((500, "今年修路架橋用銀三百"), (470, "餘銀12兩存公所")):
            y = 700
            for char in column:
                if char.isdigit():
                    lines(canvas, [char], x=x + 6 * (char == "2"), y=y, size=10)
                else:
                    lines(canvas, [char], x=x, y=y)
                y -= 14 * (char != "1")

    assert "餘銀12兩存公所" in "".join(read(page).text.split())


def test_addresses_keep_their_hyphens_and_go_on_after_their_scheme() -> None:
    address = f"www.example.com/{'a' * 40}/pump-"
    texts = [*PROSE[:2], "说明见https://", address, "guide/index.html，请查阅。"]
    text = read(lambda canvas: lines(canvas, texts)).text
    assert text.endswith(f"说明见https://{address}guide/index.html，请查阅。")
    assert named("go on-", {}) == "go on-"


def test_titles_that_count_are_no_running_heads() -> None:
    def page(number: str, shop: str, canvas: Canvas) -> None:
        lines(canvas, [f"第{number}季度小结"], size=20)
        lines(canvas, [f"{shop}店{line}" for line in PROSE], y=700)
        lines(canvas, [f"第{number}页"], y=40, size=9)

    text = read(*(partial(page, *names) for names in zip("一二三", "甲乙丙", strict=True))).text
    assert [text.count(f"# 第{number}季度小结") for number in "一二三"] == [1, 1, 1]
    assert "页" not in text


def test_items_of_an_invoice_are_rows_though_no_lines_part_them() -> None:
    columns = {
        "项目名称": ["*软件*运维服务", "*设备*采集终", "端", "合计"],
        "型号": ["V3.2", "RTU-8"],
        "数量": ["2", "10"],
        "金额": ["9000.00", "3205.00", "", "¥12205.00"],
        "税额": ["540.00", "416.65", "", "¥956.65"],
    }

    def page(canvas: Canvas) -> None:
        for y in (500, 560, 660):
            canvas.line(60, y, 510, y)
        for x in (60, 510):
            canvas.line(x, 500, x, 700)
        canvas.line(60, 700, 510, 700)
        canvas.line(110, 660, 110, 700)
        lines(canvas, ["购买方"], x=64, y=680)
        lines(
            canvas,
            ["名称：江北水务", "税号：9133010601", "电话：88123456"],
            x=114,
            y=688,
            leading=13,
        )
        for number, (name, cells) in enumerate(columns.items()):
            canvas.line(60 + 90 * number, 560, 60 + 90 * number, 660)
            lines(canvas, [name, *cells], x=64 + 90 * number, y=645)
        canvas.line(200, 500, 200, 560)
        lines(canvas, ["价税合计"], x=64, y=530)
        lines(canvas, ["（小写）¥13161.65"], x=204, y=530)

    text = read(page).text
    assert "项目名称: *软件*运维服务; 型号: V3.2; 数量: 2; 金额: 9000.00; 税额: 540.00" in text
    assert "项目名称: *设备*采集终端; 型号: RTU-8; 数量: 10; 金额: 3205.00; 税额: 416.65" in text
    assert "名称：江北水务 税号：9133010601 电话：88123456" in text
    assert "价税合计 | （小写）¥13161.65" in text


def test_days_of_a_calendar_keep_their_entries() -> None:
    week = [f"{number}\n{name}" for number, name in enumerate("甲乙丙丁", 6)]

    def page(canvas: Canvas) -> None:
        ruled_table(canvas, [[f"星期{day}" for day in "一二三四"], [""] * 4], height=40)
        for number, cell in enumerate(week):
            lines(canvas, cell.split("\n"), x=64 + 90 * number, y=645, leading=14)

    assert "星期一: 6甲; 星期二: 7乙; 星期三: 8丙; 星期四: 9丁" in read(page).text


def test_a_sidebar_is_read_before_what_is_beside_it() -> None:
    sidebar = ["陆某", "工程师", "电话八八一二", "英语六级", "水泵选型", "建模"]
    work = ["工作经历", "二〇一八年起任设备部主管，负责十二座泵站。", "此前在泵业公司任技术员。",
            "教育背景", "江南大学热能与动力工程本科。", "获奖", "省级先进班组。"]  # fmt: skip

    def page(canvas: Canvas) -> None:
        lines(canvas, sidebar, y=780, leading=30)
        lines(canvas, work, x=240, y=772, leading=24)

    text = "".join(read(page).text.replace("#", "").split())
    assert text == "".join(sidebar + work)


def test_columns_that_stand_close_to_each_other_are_one_text() -> None:
    clauses = "".join(f"第{number}号阀门每月检查一次并且做好记录，" for number in range(10, 34))
    text = f"{clauses}以上由值班长签字。"
    rows = [text[start : start + 20] for start in range(0, len(text), 20)]

    def page(canvas: Canvas) -> None:
        half = (len(rows) + 1) // 2
        for number, row in enumerate(rows):
            x = 60 + (20 * 12 + 8) * (number // half)
            canvas.drawString(x, 780 - 18 * (number % half), row)

    assert read(page).text == text


def test_names_under_those_of_groups() -> None:
    rows = [["营业收入", "12,345", "11,020", "8,001", "7,990"],
            ["财务费用", "321", "298", "120", "110"],
            ["净利润", "2,210", "1,987", "1,450", "1,322"]]  # fmt: skip

    def page(canvas: Canvas) -> None:
        lines(canvas, ["本集团"], x=190, y=780)
        lines(canvas, ["本公司"], x=370, y=780)
        lines(canvas, ["项目"], y=771)
        for number, cells in enumerate(
            zip(["", "2025", "2024", "2025", "2024"], *rows, strict=True)
        ):
            lines(canvas, cells[:1], x=60 + 90 * number, y=762)
            lines(canvas, cells[1:], x=60 + 90 * number, y=744)

    assert (
        "项目: 财务费用; 本集团/2025: 321; 本集团/2024: 298; 本公司/2025: 120; 本公司/2024: 110"
        in read(page).text
    )


def test_rows_above_and_in_a_head_of_groups_are_kept() -> None:
    cells = zip(["Item", "Q1", "Q2", "Q1", "Q2"], ["Rent", *"1234"], ["Power", *"5678"],
                ["Water", *"9876"], strict=True)  # fmt: skip

    def page(canvas: Canvas) -> None:
        lines(canvas, ["Budget draft"], y=822)
        lines(canvas, ["for the board"], x=370, y=822)
        for number, names in enumerate([["Plan", "audited"], ["Result"]]):
            lines(canvas, names, x=190 + 180 * number, y=804, leading=15)
        for number, column in enumerate(cells):
            lines(canvas, column, x=60 + 80 * (number > 0) + 90 * number, y=774)

    text = read(page).text
    assert "Budget draft" in text
    assert "for the board" in text
    assert "audited" in text


def test_the_dots_to_numbers_of_pages_stand_beside_no_gutter() -> None:
    titles = [f"Section {number} {'on valves ' * (number % 4 + 1)}" for number in range(1, 13)]

    def page(canvas: Canvas) -> None:
        for number, title in enumerate(titles, 1):
            y = 780 - 18 * number
            lines(canvas, [title], y=y)
            for dot in range((60 + 6 * len(title)) // 9 + 1, 50):
                lines(canvas, ["."], x=9 * dot, y=y)
            lines(canvas, [str(number)], x=9 * 50, y=y)

    text = " ".join(read(page).text.split())
    for number, title in enumerate(titles, 1):
        assert f"{title}… {number}" in text


def test_names_beside_the_middle_of_what_is_said_of_them_are_no_sidebar() -> None:
    names = ["Asset", "Liability", "Equity", "Revenue", "Expense", "Margin"]

    def page(canvas: Canvas) -> None:
        for number, name in enumerate(names):
            y = 780 - 44 * number
            lines(canvas, [name], y=y - 7)
            said = [
                f"{name} is what a company has or owes at the",
                "end of a period of its accounts.",
            ]
            lines(canvas, said, x=150, y=y, leading=14)

    text = read(page).text
    assert text.index("Asset is what") < text.index("Liability")


def test_what_two_parties_sign_is_read_party_by_party() -> None:
    sides = [[f"{party}方（盖章）：{name}", f"法定代表人：{person}", f"签订日期：2025年9月{day}日"]
             for party, name, person, day in (("甲", "江北水务集团", "文同", 17),
                                              ("乙", "海曙泵业公司", "米芾", 18))]  # fmt: skip

    def page(canvas: Canvas) -> None:
        lines(canvas, PROSE)
        for number, side in enumerate(sides):
            lines(canvas, side, x=60 + 250 * number, y=640, leading=24)

    assert read(page).text.endswith("\n".join(sides[0] + sides[1]))


def test_labels_with_values_stay_lines_and_titles_of_two_lines_are_one() -> None:
    def page(canvas: Canvas) -> None:
        canvas.setFont(SONG, 20)
        canvas.drawCentredString(300, 780, "关于开展二次供水设施")
        canvas.drawCentredString(300, 752, "专项检查的通知")
        lines(canvas, PROSE, y=700)
        lines(canvas, ["发票代码：0330022002115946", "开票日期：2025年09月16日晚"], x=350, y=600)

    text = read(page).text
    assert text.startswith("# 关于开展二次供水设施专项检查的通知\n")
    assert "发票代码：0330022002115946\n开票日期：2025年09月16日晚" in text


def test_fields_side_by_side_are_read_by_rows() -> None:
    rows = [["设备编号：SB-0043", "设备名称：鼓风机", "设备型号：RRF-150"],
            ["制造单位：章丘鼓风", "出厂日期：2019-05", "投用日期：2019-11"],
            ["额定功率：37kW", "转速：1450r/min", "责任人员：嵇含"]]  # fmt: skip

    def page(canvas: Canvas) -> None:
        for number in range(3):
            lines(canvas, [row[number] for row in rows], x=60 + 160 * number)

    text = read(page).text
    places = [text.index(cell) for row in rows for cell in row]
    assert places == sorted(places)


def with_attachments(files: Mapping[str, bytes]) -> bytes:
    """A PDF of some prose that brings files with it."""
    import pypdfium2

    document = pypdfium2.PdfDocument(pdf(lambda canvas: lines(canvas, PROSE)))
    for name, content in files.items():
        document.new_attachment(name).set_data(content)
    file = io.BytesIO()
    document.save(file)
    document.close()
    return file.getvalue()


def test_attached_files_are_said_where_nothing_reads_them() -> None:
    assert "price.csv" in read_pdf(with_attachments({"price.csv": b"a,b"}), "a.pdf").notes[0]


def test_attached_files_are_read_behind_the_pages(tmp_path: Path) -> None:
    invoice = b"<Invoice><ID>RE-4711</ID><Total>1190.00</Total></Invoice>"
    inner = with_attachments({"price.csv": "名称,价格\n水泵,1280".encode()})
    path = tmp_path / "发票.pdf"
    path.write_bytes(with_attachments({"factur-x.xml": invoice, "明细.pdf": inner, "a.exe": b"\0"}))
    chunks = ChineseTextSplitter(chunk_size=100, chunk_overlap=0).split_documents(
        FileLoader(path, ocr="never").load()
    )
    found = {chunk.metadata.get("heading"): chunk for chunk in chunks}
    assert found[None].metadata["page"] == 1
    assert "ID: RE-4711" in found["factur-x.xml"].page_content
    assert "名称: 水泵; 价格: 1280" in found["price.csv"].page_content
    assert found["price.csv"].metadata["headings"] == ["明细.pdf", "price.csv"]
    assert "page" not in found["price.csv"].metadata
    (note,) = FileLoader(path).load()[0].metadata["notes"]
    assert "a.exe was not read" in note
