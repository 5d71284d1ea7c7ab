from rag_app.documents.pdf.characters import Char, PageCharacters
from rag_app.documents.pdf.page_text import page_of, text_of

LEFT = [
    "泵站值班人员每两小时巡视一次",
    "水位超过三米五时启动二号水泵",
    "并且立即通知调度室和值班领导",
    "交接班时双方须在记录本上签字",
    "台风期间增加一人值守检查沙袋",
    "维修工具用后一律放回原处。",
]
RIGHT = [
    "无关人员不得进入机房和控制室",
    "来访者须由值班长陪同并且登记",
    "动火作业前办理审批手续并监护",
    "备用电源每周一上午空载试运行",
    "消防器材每月检查一次贴上标签",
    "违反规定的按照第九章处理。",
]


def written(texts: list[str], x: float, y: float = 600) -> list[Char]:
    return [
        Char(char, x + 20 * at, y - 40 * number, x + 20 * at + 20, y - 40 * number + 20, 20)
        for number, text in enumerate(texts)
        for at, char in enumerate(text)
    ]


def test_the_left_one_of_facing_pages_is_read_first() -> None:
    rows = zip(written(LEFT, 50), written(RIGHT, 400), strict=False)
    chars = [char for pair in rows for char in pair]
    assert text_of([page_of(PageCharacters(chars))]).text.replace("\n", "") == "".join(LEFT + RIGHT)


def test_a_wide_table_is_one_page() -> None:
    rows = [["型号", "M20"], ["功率", "37kW"], ["扬程", "32m"], ["转速", "1450"], ["编号", "0043"]]
    chars = [char for at in (0, 1) for char in written([row[at] for row in rows], 50 + 400 * at)]
    text = text_of([page_of(PageCharacters(chars))]).text
    assert text.index("功率") < text.index("37kW") < text.index("扬程")


def test_halves_of_a_wide_table_are_no_pages() -> None:
    rows = [
        [f"潜水泵{at}", f"江北{at}号泵站", f"功率{at}千瓦", f"扬程{at}米整"] for at in range(1, 8)
    ]
    chars = [
        char
        for at, x in enumerate((0, 200, 600, 800))
        for char in written([row[at] for row in rows], x)
    ]
    text = text_of([page_of(PageCharacters(chars))]).text
    assert text.index("扬程1米整") < text.index("潜水泵2")
