"""Tables as offices write them: forms, lists, statements and quotations."""

import pytest

from rag_app.documents.tables import table_lines
from rag_app.documents.tables.cells import Covered


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        pytest.param(
            [["品名", "冰箱"], ["颜色", "银灰"], ["容量(升)", "210"]],
            ["品名 | 冰箱", "颜色 | 银灰", "容量(升) | 210"],
            id="names with texts and a value beside them",
        ),
        pytest.param(
            [["设备名称", "离心泵", "型号", "ISG50"], ["产地", "常州", "数量", "3"],
             ["单价", "1200", "总价", "3600"]],
            ["设备名称: 离心泵; 型号: ISG50", "产地: 常州; 数量: 3", "单价: 1200; 总价: 3600"],
            id="two names a row with texts and values beside them",
        ),
        pytest.param(
            [["参数", "A型", "B型"], ["功率", "11", "15"], ["防护", "IP54", "IP55"],
             ["重量", "98", "112"]],
            ["参数: 功率; A型: 11; B型: 15", "参数: 防护; A型: IP54; B型: IP55",
             "参数: 重量; A型: 98; B型: 112"],
            id="rows of texts among rows of values",
        ),
        pytest.param(
            [["张三", "男", "财务部"], ["李四", "女", "采购部"], ["王五", "男", "生产部"]],
            ["张三 | 男 | 财务部", "李四 | 女 | 采购部", "王五 | 男 | 生产部"],
            id="a few rows without a head",
        ),
        pytest.param(
            [["P-01", "离心泵"], ["P-02", "潜水泵"]], ["P-01 | 离心泵", "P-02 | 潜水泵"],
            id="codes of one form without a head",
        ),
        pytest.param(
            [["编制单位：某公司", "", "2024年度", "单位：元"], ["项目", "行次", "本期", "上期"],
             ["营业收入", "1", "50", "43"], ["营业成本", "2", "32", "28"]],
            ["编制单位：某公司 | 2024年度 | 单位：元",
             "项目: 营业收入; 行次: 1; 本期: 50; 上期: 43",
             "项目: 营业成本; 行次: 2; 本期: 32; 上期: 28"],
            id="notes and a year above a head",
        ),
        pytest.param(
            [["姓名", "吕强", Covered("吕强"), "部门", "设备部"],
             ["项目", "权重", "标准", "自评", "评分"], ["业绩", "40%", "达标", "35", "36"],
             ["总评", "良好", *[Covered("良好")] * 3]],
            ["姓名 | 吕强 | 部门 | 设备部",
             "项目: 业绩; 权重: 40%; 标准: 达标; 自评: 35; 评分: 36", "总评: 良好"],
            id="a row of fields above a head, and a name with its value across below",
        ),
        pytest.param(
            [["货物", "规格", "单位", "金额"], ["水泵", "ISG", "台", "10"],
             ["阀门", "Z41", "只", "5"],
             ["价税合计（大写）", "壹拾伍元整", Covered("壹拾伍元整"), "15"]],
            ["货物: 水泵; 规格: ISG; 单位: 台; 金额: 10",
             "货物: 阀门; 规格: Z41; 单位: 只; 金额: 5",
             "货物: 价税合计（大写）; 壹拾伍元整; 金额: 15"],
            id="a total in words over several columns",
        ),
        pytest.param(
            [["序号", "姓名", "电话", "序号", "姓名", "电话"],
             ["1", "张三", "81", "3", "王五", "83"],
             ["2", "李四", "82", "4", "赵六", ""]],
            ["序号: 1; 姓名: 张三; 电话: 81", "序号: 2; 姓名: 李四; 电话: 82",
             "序号: 3; 姓名: 王五; 电话: 83", "序号: 4; 姓名: 赵六"],
            id="a list that goes on beside itself",
        ),
        pytest.param(
            [["资产", "期末", "年初", "负债", "期末", "年初"],
             ["货币资金", "12", "9", "借款", "3", "2"],
             ["存货", "23", "21", "应付账款", "4", "3"]],
            ["资产: 货币资金; 期末: 12; 年初: 9", "资产: 存货; 期末: 23; 年初: 21",
             "负债: 借款; 期末: 3; 年初: 2", "负债: 应付账款; 期末: 4; 年初: 3"],
            id="both sides of a balance sheet",
        ),
        pytest.param(
            [["一、人员"], ["姓名", "工资"], ["张三", "50"], ["李四", "52"], ["二、设备"],
             ["设备", "数量"], ["车床", "4"], ["铣床", "2"]],
            ["一、人员", "姓名: 张三; 工资: 50", "姓名: 李四; 工资: 52", "二、设备",
             "设备: 车床; 数量: 4", "设备: 铣床; 数量: 2"],
            id="tables with titles one below the other",
        ),
        pytest.param(
            [["表"], ["设备", "数量", "厂"], ["一车间"], ["车床", "4", "甲"], ["刨床", "1", "乙"],
             ["磨床", "6", "丙"], ["二车间"], ["铣床", "停用", "丁"], ["钻床", "2", "戊"]],
            ["表", "一车间", "设备: 车床; 数量: 4; 厂: 甲", "设备: 刨床; 数量: 1; 厂: 乙",
             "设备: 磨床; 数量: 6; 厂: 丙", "二车间", "设备: 铣床; 数量: 停用; 厂: 丁",
             "设备: 钻床; 数量: 2; 厂: 戊"],
            id="sections of one table",
        ),
        pytest.param(
            [["品种", "1月", "2月", "3月"], ["线材", "39", "38", "37"], ["", "", "", ""],
             ["注：含税"], ["来源：市场部", "", "", "2024年4月"]],
            ["品种: 线材; 1月: 39; 2月: 38; 3月: 37", "注：含税", "来源：市场部; 2024年4月"],
            id="notes below a table",
        ),
    ],
)  # fmt: skip
def test_each_row_says_what_its_values_are(rows: list[list[str]], lines: list[str]) -> None:
    assert list(table_lines(rows)) == lines
