import pytest

from rag_app.documents.sheets.delimited import read_csv


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("姓名,部门,备注（来源，时间，经手，其他）\n张某,财务部,转正\n",
         "姓名: 张某; 部门: 财务部; 备注（来源，时间，经手，其他）: 转正"),
        ("sep=;\n姓名;城市\n张某;绍兴\n", "姓名: 张某; 城市: 绍兴"),
        ("用水情况，单位：吨\n户名;一月;二月\n张某;12;15\n", "户名: 张某; 一月: 12; 二月: 15"),
        ("产品,2020,2021\n铜管,11,12\n", "产品: 铜管; 2020: 11; 2021: 12"),
        ("名称\t数量\n螺丝，M3\t40\n", "名称: 螺丝，M3; 数量: 40"),
        ("名称，数量\n螺丝，40\n", "名称: 螺丝; 数量: 40"),
        ('名称,说明\n螺丝,"一,二;三"\n', "名称: 螺丝; 说明: 一,二;三"),
        ("sep=\t\n品种\t产地\n龙井\t西湖\n", "品种: 龙井; 产地: 西湖"),
        ('"sep=,"\n编号,名称\n1,甲\n', "编号: 1; 名称: 甲"),
        ('证件号,金额\n="110101199001011234",12\n', "证件号: 110101199001011234; 金额: 12"),
    ],
)  # fmt: skip
def test_what_separates_the_values_is_found(text: str, lines: str) -> None:
    assert lines in read_csv(text, "a.csv").split("\n")


def test_spaces_before_quotes_and_repeated_heads() -> None:
    text = 'name, city\nZhou, "Hefei, Anhui"\nname, city\nWu, Nanjing\n'
    lines = ["name: Zhou; city: Hefei, Anhui", "name: Wu; city: Nanjing"]
    assert read_csv(text, "a.csv").split("\n") == lines
