import pytest

from rag_app.documents.tables import table_lines


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        pytest.param(
            [["门店", "销售额"], ["无锡店", "131"], ["常州店", "88"]],
            ["门店: 无锡店; 销售额: 131", "门店: 常州店; 销售额: 88"],
            id="plain",
        ),
        pytest.param(
            [["2023年销售情况表", "", ""], ["大区", "门店", "同比"], ["华东", "无锡店", "-4.2%"]],
            ["2023年销售情况表", "大区: 华东; 门店: 无锡店; 同比: -4.2%"],
            id="title row",
        ),
        pytest.param(
            [["2023年情况表"] * 3, ["大区", "门店", "同比"], ["华东", "无锡店", "-4.2%"]],
            ["2023年情况表", "大区: 华东; 门店: 无锡店; 同比: -4.2%"],
            id="merged title row",
        ),
        pytest.param(
            [["项目", "收入", "收入", "支出", "支出"], ["项目", "预算", "实际", "预算", "实际"],
             ["培训", "100", "95", "120", "131"]],
            ["项目: 培训; 收入/预算: 100; 收入/实际: 95; 支出/预算: 120; 支出/实际: 131"],
            id="two rows of a head, merged cells filled",
        ),
        pytest.param(
            [["项目", "收入", "", "支出", ""], ["", "预算", "实际", "预算", "实际"],
             *([f"第{n}项", "100", "95", "120", "131"] for n in range(12))],
            [f"项目: 第{n}项; 收入/预算: 100; 收入/实际: 95; 支出/预算: 120; 支出/实际: 131"
             for n in range(12)],
            id="two rows of a head, merged cells empty",
        ),
        pytest.param(
            [["型号", "2020", "2021"], ["型号30", "132", "159"]],
            ["型号: 型号30; 2020: 132; 2021: 159"],
            id="years",
        ),
        pytest.param(
            [["样品名称", "水杯", "", "检测日期", "2023-05-06"],
             ["委托单位", "某厂", "", "报告编号", "JC-7"],
             ["项目", "限值", "", "实测值", "结论"], ["铅 mg/L", "0.05", "", "0.003", "合格"]],
            ["样品名称: 水杯; 检测日期: 2023-05-06", "委托单位: 某厂; 报告编号: JC-7",
             "项目: 铅 mg/L; 限值: 0.05; 实测值: 0.003; 结论: 合格"],
            id="form and table",
        ),
        pytest.param(
            [["姓名：", "张某"], ["电话：", "8110"]], ["姓名: 张某", "电话: 8110"], id="form",
        ),
        pytest.param(
            [["甲", "1"], ["", ""], ["名称", "数"], ["乙", "2"]],
            ["甲 | 1", "名称: 乙; 数: 2"],
            id="two tables",
        ),
        pytest.param(
            [["1", "2"], ["3", "4"]], ["1 | 2", "3 | 4"], id="no head",
        ),
        pytest.param([["名称", "数量"]], ["名称 | 数量"], id="a head alone"),
        pytest.param(
            [["差异", "一月", "二月"], ["甲", "", "778"]], ["差异: 甲; 二月: 778"], id="empty cell"
        ),
        pytest.param(
            [["项", "值", "注"], ["华东大区"], ["西南"] * 3, ["甲", "5", ""]],
            ["华东大区", "西南", "项: 甲; 值: 5"], id="section",
        ),
        pytest.param(
            [["姓名", "城市"], ["张某", "绍兴"]], ["姓名: 张某; 城市: 绍兴"], id="only text"
        ),
        pytest.param(
            [["a", "b"], ["5", "5"], ["7", "7"]], ["a: 5; b: 5", "a: 7; b: 7"], id="equal values"
        ),
        pytest.param([], [], id="nothing"),
    ],
)  # fmt: skip
def test_each_row_says_what_its_values_are(rows: list[list[str]], lines: list[str]) -> None:
    assert list(table_lines(rows)) == lines
