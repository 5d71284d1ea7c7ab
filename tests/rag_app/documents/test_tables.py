import pytest

from rag_app.documents import tables
from rag_app.documents.sheets import table_bounds
from rag_app.documents.sheets.delimited import read_csv
from rag_app.documents.tables import lines_below, table_lines
from rag_app.documents.tables.cells import Continued, Covered, spanned
from rag_app.errors import DocumentError


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        pytest.param(
            [["门店", "销售额"], ["无锡店", "131"], ["常州店", "88"]],
            ["门店: 无锡店; 销售额: 131", "门店: 常州店; 销售额: 88"],
            id="plain",
        ),
        pytest.param(
            [["车间", "1", "2", "3"], ["铸造", "35", "33", "38"], ["总装", "51", "47", "58"]],
            ["车间: 铸造; 1: 35; 2: 33; 3: 38", "车间: 总装; 1: 51; 2: 47; 3: 58"],
            id="numbers from 1 name the columns",
        ),
        pytest.param(
            [["额定功率", "11kW", "效率", "88%"], ["防护等级", "IP55", "重量", "86kg"]],
            ["额定功率: 11kW; 效率: 88%", "防护等级: IP55; 重量: 86kg"],
            id="names with amounts beside them",
        ),
        pytest.param(
            [["文件编号", "QP-07"], ["版本", "B/2"]],
            ["文件编号: QP-07", "版本: B/2"],
            id="a field with its code",
        ),
        pytest.param(
            [["姓名", "秦某", "性别", "女"], ["籍贯", "运城", "学历", "硕士"],
             ["时间", "学校", "专业", "学位"], ["2010-2014", "山西农大", "土壤学", "学士"],
             ["2014-2017", "西北农大", "植物营养学", "硕士"]],
            ["姓名: 秦某; 性别: 女", "籍贯: 运城; 学历: 硕士",
             "时间: 2010-2014; 学校: 山西农大; 专业: 土壤学; 学位: 学士",
             "时间: 2014-2017; 学校: 西北农大; 专业: 植物营养学; 学位: 硕士"],
            id="a form above a table",
        ),
        pytest.param(
            [["型号", "产地", "备注"], ["30", "", ""], ["40", "", ""]],
            ["型号 | 产地 | 备注", "型号: 30", "型号: 40"],
            id="columns that nothing stands in",
        ),
        pytest.param(
            [["设备", "参数", Covered("参数"), "备注"], ["泵", "流量", "50", "新"],
             [Continued("泵"), "扬程", "32", Continued("新")],
             ["风机", "风压与风量", Covered("风压与风量"), "旧"]],
            ["设备: 泵; 参数: 流量; 参数: 50; 备注: 新", "设备: 泵; 参数: 扬程; 参数: 32; 备注: 新",
             "设备: 风机; 参数: 风压与风量; 备注: 旧"],
            id="a name over two columns",
        ),
        pytest.param(
            [["买受人（甲方）", "联程建设有限公司"], ["标的物", "螺纹钢，计120吨"],
             ["运费", "由卖方承担"]],
            ["买受人（甲方） | 联程建设有限公司", "标的物 | 螺纹钢，计120吨", "运费 | 由卖方承担"],
            id="names with texts beside them",
        ),
        pytest.param(
            [["岗位", "职责"], ["调度", "编制计划，跟踪进度"], ["库管", "收发物料，月末盘点"]],
            ["岗位: 调度; 职责: 编制计划，跟踪进度", "岗位: 库管; 职责: 收发物料，月末盘点"],
            id="texts below names",
        ),
        pytest.param(
            [["项", "值"], ["产能[^1]", "88[^2]"], ["库存", "12"]],
            ["项: 产能[^1]; 值: 88[^2]", "项: 库存; 值: 12"],
            id="values with notes",
        ),
        pytest.param(
            [["品名", "价", "", "城市", "人口"], ["铜", "6", "", "常州", "5"],
             ["铝", "3", "", "无锡", "7"], ["铅", "2"]],
            ["品名: 铜; 价: 6", "品名: 铝; 价: 3", "品名: 铅; 价: 2", "城市: 常州; 人口: 5",
             "城市: 无锡; 人口: 7"],
            id="tables beside each other of which one ends early",
        ),
        pytest.param(
            [["教务处制", "", "2025年秋"], ["课程", "教师", "教室"], ["焊接", "温某", "东201"],
             ["钳工", "席某", "西105"]],
            ["教务处制 | 2025年秋", "课程: 焊接; 教师: 温某; 教室: 东201",
             "课程: 钳工; 教师: 席某; 教室: 西105"],
            id="notes beside each other above a head",
        ),
        pytest.param(
            [["客户", "区域", "状态"], ["东港", "华东", "已签"], ["西岭", "西南", "洽谈"],
             ["合计", "", "2"]],
            ["客户: 东港; 区域: 华东; 状态: 已签", "客户: 西岭; 区域: 西南; 状态: 洽谈",
             "客户: 合计; 状态: 2"],
            id="texts above a row that counts them",
        ),
        pytest.param(
            [["型号", "产地", "备注"], ["30", "天津", ""], ["甲类"], ["40", "", "缺"]],
            ["型号: 30; 产地: 天津", "甲类", "型号: 40; 备注: 缺"],
            id="a section",
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
            [["序号", "姓名", *["三月"] * 8], ["序号", "姓名", *"12345678"],
             ["1", "张三", *["√"] * 7, "休"], ["合计", Covered("合计"), *"11111111"]],
            ["序号: 1; 姓名: 张三; " + "; ".join(f"三月/{n}: √" for n in range(1, 8))
             + "; 三月/8: 休",
             "序号: 合计; " + "; ".join(f"三月/{n}: 1" for n in range(1, 9))],
            id="days of a month, and a total across columns",
        ),
        pytest.param(
            [["部门", "三月", "三月"], ["部门", "1日", "2日"], ["生产部", "√", "休"]],
            ["部门: 生产部; 三月/1日: √; 三月/2日: 休"],
            id="days in two rows of a head",
        ),
        pytest.param(
            [["部门", "值班", Covered("值班")], ["部门", "白班", "夜班"],
             ["保卫科", "赵六", "钱七"]],
            ["部门: 保卫科; 值班/白班: 赵六; 值班/夜班: 钱七"],
            id="a name of a form's field over two rows of a head",
        ),
        pytest.param(
            [["部门", "一月", "二月", "三月", "四月"], ["甲部", "1", "2", "3", "4"],
             ["制表：王敏", "", "审核：李强"], ["共：1个部门", "10"]],
            ["部门: 甲部; 一月: 1; 二月: 2; 三月: 3; 四月: 4", "制表：王敏; 审核：李强",
             "部门: 共：1个部门; 一月: 10"],
            id="signatures below a table",
        ),
        pytest.param(
            [["0", "品名", "单价"], ["1", "铅笔", "1.5"], ["2", "钢笔", "12"]],
            ["1; 品名: 铅笔; 单价: 1.5", "2; 品名: 钢笔; 单价: 12"],
            id="numbers of rows that begin above the head",
        ),
        pytest.param(
            [["0", "铅笔", "木"], ["1", "钢笔", "铁"]],
            ["0 | 铅笔 | 木", "1 | 钢笔 | 铁"],
            id="numbers of rows without a head",
        ),
        pytest.param(
            [["品名", "单价"], ["说明", Covered("说明")], [Continued("说明"), Covered("说明")],
             ["铅笔", "1.5"], [Continued("铅笔"), "1.8"]],
            ["说明", "品名: 铅笔; 单价: 1.5", "品名: 铅笔; 单价: 1.8"],
            id="merged over several rows",
        ),
        pytest.param(
            [["", "2008", Covered("2008"), "2009", Covered("2009")],
             ["", "上半年", "下半年", "上半年", "下半年"], ["预算", "20", "25", "34", "29"],
             ["实际", "30", "32", "7", "8"]],
            ["预算; 2008/上半年: 20; 2008/下半年: 25; 2009/上半年: 34; 2009/下半年: 29",
             "实际; 2008/上半年: 30; 2008/下半年: 32; 2009/上半年: 7; 2009/下半年: 8"],
            id="years over other names",
        ),
        pytest.param(
            [["Name", "Ann Lee", "Department", "Sales"], ["Phone", "555-1234", "Email", "a@b.org"]],
            ["Name: Ann Lee; Department: Sales", "Phone: 555-1234; Email: a@b.org"],
            id="an English form",
        ),
        pytest.param(
            [["Name", "Score", "City"], ["Ann", "good", "Oslo"], ["Bob", "poor", "Rome"]],
            ["Name: Ann; Score: good; City: Oslo", "Name: Bob; Score: poor; City: Rome"],
            id="names of a form's fields over columns",
        ),
        pytest.param(
            [["型号", "2020", "2021"], ["型号30", "132", "159"]],
            ["型号: 型号30; 2020: 132; 2021: 159"],
            id="years",
        ),
        pytest.param(
            [["", "2020", "2021"], ["浙江", "3.6", "8.5"], ["江苏", "3.7", "8.6"]],
            ["浙江; 2020: 3.6; 2021: 8.5", "江苏; 2020: 3.7; 2021: 8.6"],
            id="years alone",
        ),
        pytest.param(
            [["设备", "3月31日", "4月1日"], ["锅炉", "正常", "停机"]],
            ["设备: 锅炉; 3月31日: 正常; 4月1日: 停机"],
            id="days that follow each other",
        ),
        pytest.param(
            [["任务", "开始", "结束"], ["设计", "3月1日", "3月2日"], ["施工", "3月3日", "4月5日"]],
            ["任务: 设计; 开始: 3月1日; 结束: 3月2日", "任务: 施工; 开始: 3月3日; 结束: 4月5日"],
            id="days under a head",
        ),
        pytest.param(
            [["编号", "压力", "温度"], ["", "MPa", "℃"], ["P1", "1.2", "85"], ["P2", "1.4", "88"]],
            ["编号: P1; 压力/MPa: 1.2; 温度/℃: 85", "编号: P2; 压力/MPa: 1.4; 温度/℃: 88"],
            id="units below the head",
        ),
        pytest.param(
            [["项", "比率"], ["甲", "#DIV/0!"], ["乙", "0.5"]],
            ["项: 甲; 比率: #DIV/0!", "项: 乙; 比率: 0.5"],
            id="an error is no name",
        ),
        pytest.param(
            [["2024年", "2024年", "2024年", "2024年", "2024年"], ["编号", "数", "", "", ""],
             ["A1", "3", "", "品名", "单价"], ["A2", "4", "", "铅笔", "1.5"]],
            ["2024年", "编号: A1; 数: 3", "编号: A2; 数: 4", "品名: 铅笔; 单价: 1.5"],
            id="two tables beside each other",
        ),
        pytest.param(
            [["周一", "主菜", "红烧肉"], ["周一", "汤", "番茄汤"], ["周二", "主菜", "清蒸鱼"],
             ["周二", "汤", "紫菜汤"], ["周三", "主菜", "排骨"]],
            ["周一 | 主菜 | 红烧肉", "周一 | 汤 | 番茄汤", "周二 | 主菜 | 清蒸鱼",
             "周二 | 汤 | 紫菜汤", "周三 | 主菜 | 排骨"],
            id="a first row whose cells recur is no head",
        ),
        pytest.param(
            [["门店", "销售额", "", "产品", "库存"], ["无锡店", "131", "", "烘干机", "20"],
             ["常州店", "88", "", "洗衣机", "31"], ["", "", "", "冰箱", "7"]],
            ["门店: 无锡店; 销售额: 131", "门店: 常州店; 销售额: 88", "产品: 烘干机; 库存: 20",
             "产品: 洗衣机; 库存: 31", "产品: 冰箱; 库存: 7"],
            id="two tables that begin in the same row",
        ),
        pytest.param(
            [["一季度", "", "", "二季度"], ["门店", "销售额", "", "门店", "销售额"],
             ["无锡店", "131", "", "无锡店", "20"]],
            ["一季度/门店: 无锡店; 一季度/销售额: 131", "二季度/门店: 无锡店; 二季度/销售额: 20"],
            id="two tables with titles of their own",
        ),
        pytest.param(
            [["姓名", "工资", "", "部门", "奖金"], ["王", "1", "", "销售", "5"],
             ["李", "2", "", "销售", "6"]],
            ["姓名: 王; 工资: 1; 部门: 销售; 奖金: 5", "姓名: 李; 工资: 2; 部门: 销售; 奖金: 6"],
            id="one table whose second half does not name its rows",
        ),
        pytest.param(
            [["姓名", "部门"], ["张某", "财务", "", "品名", "单价"],
             ["李某", "采购", "", "铅笔", "1.5"]],
            ["姓名: 张某; 部门: 财务", "姓名: 李某; 部门: 采购", "品名: 铅笔; 单价: 1.5"],
            id="a table of texts and one of values beside it",
        ),
        pytest.param(
            [["", "", "", "实际", "预测"], ["项目", "预算", "", "上半年", "下半年"],
             *([f"第{n}项", "5", "", "2", "3"] for n in range(2))],
            [f"项目: 第{n}项; 预算: 5; 实际/上半年: 2; 预测/下半年: 3" for n in range(2)],
            id="a table with an empty column",
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
            [["姓名", "周某", "性别", "女", "照片"], ["出生年月", "1995.03", "民族", "汉", "照片"],
             ["毕业院校", "江南大学", Covered("江南大学"), "专业", "食品"],
             ["自我评价", "勤恳。", *[Covered("勤恳。")] * 3]],
            ["姓名: 周某; 性别: 女; 照片", "出生年月: 1995.03; 民族: 汉; 照片",
             "毕业院校: 江南大学; 专业: 食品", "自我评价: 勤恳。"],
            id="a form without marks",
        ),
        pytest.param(
            [["会议记录", *[Covered("会议记录")] * 3], ["会议主题", "例会", "主持人", "赵云"],
             ["时间", "3月9日", "地点", "二楼"], ["决议", "照办", *[Covered("照办")] * 2]],
            ["会议记录", "会议主题: 例会; 主持人: 赵云", "时间: 3月9日; 地点: 二楼", "决议: 照办"],
            id="a form of an event",
        ),
        pytest.param(
            [["单位名称", "签订日期"], ["红星厂", "3月1日"], ["水务公司", "3月9日"]],
            ["单位名称: 红星厂; 签订日期: 3月1日", "单位名称: 水务公司; 签订日期: 3月9日"],
            id="names of fields over columns in Chinese",
        ),
        pytest.param(
            [["姓名：王五", "工号：1034"], ["部门：质检", "日期：3月5日"]],
            ["姓名：王五 | 工号：1034", "部门：质检 | 日期：3月5日"],
            id="labels and values in one cell",
        ),
        pytest.param(
            [["姓名", "性别", "民族"], ["李某", "男", "汉"], ["王某", "女", "回"]],
            ["姓名: 李某; 性别: 男; 民族: 汉", "姓名: 王某; 性别: 女; 民族: 回"],
            id="a list of persons",
        ),
        pytest.param(
            [["代码：", "0330", "日期：", "5月6日"],
             ["购方", "名称", "某公司", Covered("某公司")], ["购方", "账号", "12", Covered("12")],
             ["购方", "地址", "某路", Covered("某路")], ["货物", "规格", "数量", "金额"],
             ["纸", "A4", "20", "2,300"], ["笔", "细", "5", "60"]],
            ["代码: 0330; 日期: 5月6日", "购方 | 名称 | 某公司", "购方 | 账号 | 12",
             "购方 | 地址 | 某路", "货物: 纸; 规格: A4; 数量: 20; 金额: 2,300",
             "货物: 笔; 规格: 细; 数量: 5; 金额: 60"],
            id="a form above a table",
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
            [["差异", "一月", "二月"], ["甲", "", "778"]],
            ["差异 | 一月 | 二月", "差异: 甲; 二月: 778"],
            id="empty cell",
        ),
        pytest.param(
            [["项", "值", "注"], ["华东大区"], ["西南"] * 3, ["甲", "5", ""]],
            ["项 | 值 | 注", "华东大区", "西南", "项: 甲; 值: 5"], id="section",
        ),
        pytest.param(
            [["姓名", "城市"], ["张某", "绍兴"]], ["姓名: 张某; 城市: 绍兴"], id="only text"
        ),
        pytest.param(
            [["a", "b"], ["5", "5"], ["7", "7"]], ["a: 5; b: 5", "a: 7; b: 7"], id="equal values"
        ),
        pytest.param(
            [
                ["岗位", "上半年", "上半年", "下半年", "下半年"],
                ["岗位", "正", "副", "正", "副"],
                ["调度", "张某", "李某", "王某", "赵某"],
            ],
            ["岗位: 调度; 上半年/正: 张某; 上半年/副: 李某; 下半年/正: 王某; 下半年/副: 赵某"],
            id="a merged head above text",
        ),
        pytest.param(
            [
                ["设备台账"],
                ["编制：设备科", "", "日期：2024-01-05"],
                ["设备", "电机", "电机"],
                ["设备", "型号", "功率"],
                ["一号", "Y2-160", "11kW"],
            ],
            ["设备台账", "编制：设备科; 日期：2024-01-05",
             "设备: 一号; 电机/型号: Y2-160; 电机/功率: 11kW"], id="notes above a head",
        ),
        pytest.param(
            [["科", "电话", "电话"], ["科", "白天", "夜间"], ["税", "1", "2"], ["见总机"] * 3],
            ["科: 税; 电话/白天: 1; 电话/夜间: 2", "见总机"], id="a foot",
        ),
        pytest.param(
            [["甲", "是", "是"], ["乙", "是", "否"]], ["甲 | 是 | 是", "乙 | 是 | 否"], id="no head"
        ),
        pytest.param([], [], id="nothing"),
    ],
)  # fmt: skip
def test_each_row_says_what_its_values_are(rows: list[list[str]], lines: list[str]) -> None:
    assert list(table_lines(rows)) == lines


def test_the_parts_of_a_table_have_one_head() -> None:
    lines, head = lines_below([["站点", "首班", "票价"], ["东门", "5:30", "2"]])
    assert lines == ["站点: 东门; 首班: 5:30; 票价: 2"]
    below = ["站点: 西门; 票价: 3"]
    assert lines_below([["西门", "", "3"]], head) == (below, head)
    assert lines_below([["站点", "首班", "票价"], ["西门", "", "3"]], head) == (below, head)
    assert lines_below([["西门", "慢车"]], []) == (["西门 | 慢车"], [])
    other = lines_below([["品名", "单位", "数量"], ["水泵", "台", "3"]], head)
    assert other == (["品名: 水泵; 单位: 台; 数量: 3"], ["品名", "单位", "数量"])


def test_the_head_that_the_file_names() -> None:
    rows = [["门店销量"], ["店", "3/1", "3/5"], ["甲店", "5", "7"], [], ["共", "5", "7"]]
    named = ["门店销量", "店: 甲店; 3/1: 5; 3/5: 7", "店: 共; 3/1: 5; 3/5: 7"]
    assert list(table_lines(rows, head=2)) == named
    assert list(table_lines(rows))[1] == "店 | 3/1 | 3/5"
    assert list(table_lines(rows, head=9))[1] == "店 | 3/1 | 3/5"


@pytest.mark.parametrize(
    ("day", "under", "first", "shown"),
    [
        ("考勤结果", "1 五", "正常", "姓名: 张三; 部门: 市场部; 考勤结果/1 五: 正常"),
        ("考勤结果", "1", "正常", "姓名: 张三; 部门: 市场部; 考勤结果/1: 正常"),
        ("2024-03-01", "打卡", "缺卡", "姓名: 张三; 部门: 市场部; 2024-03-01/打卡: 缺卡"),
        ("2024-03-01", "打卡", "8:55", "姓名: 张三; 部门: 市场部; 2024-03-01/打卡: 8:55"),
    ],
)
def test_a_head_goes_down_with_its_merged_cells(
    day: str, under: str, first: str, shown: str
) -> None:
    head = [["姓名", "部门", day], [Continued("姓名"), Continued("部门"), under]]
    rows = [["张三", "市场部", first], ["李四", "财务部", "9:02"], ["王五", "财务部", "休息"]]
    assert next(table_lines([*head, *rows])) == shown


def test_rows_that_go_down_all_along_are_no_head() -> None:
    rows = [["华北", "北京", "张三"], [Continued("华北"), Continued("北京"), "李四"]]
    rows += [["华东", "上海", "王五"], [Continued("华东"), "苏州", "赵六"]]
    assert len(list(table_lines(rows))) == 3


@pytest.mark.parametrize("entries", [1, 2, 3])
def test_the_name_beside_a_list_in_a_form_is_no_part_of_its_head(entries: int) -> None:
    name = Continued("工作经历")
    rows = [["姓名", "张三", "性别", "男"], ["学历", "本科", "年龄", "30"]]
    rows += [["工作经历", "起止", "单位", "职务"]]
    rows += [[name, f"201{at}-201{at + 1}", "东湖公司", "职员"] for at in range(entries)]
    lines = list(table_lines([*rows, ["电话", "123", "邮箱", "a@b.c"]]))
    assert lines[2] == "工作经历; 起止: 2010-2011; 单位: 东湖公司; 职务: 职员"
    assert len(lines) == entries + 3


def test_rows_far_below_have_the_head_of_those_above(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_MOST_CELLS", 10)
    rows = [["门店", "销售额"], *([f"第{n}店", str(n)] for n in range(50))]
    lines = list(table_lines([*rows, ["合计", "1225"]]))
    assert lines[49:] == ["门店: 第49店; 销售额: 49", "门店: 合计; 销售额: 1225"]


def test_a_table_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_bounds, "MAX_CHARACTERS", 40)
    with pytest.raises(DocumentError, match="more than 40 characters"):
        read_csv("名称,数量\n水泵,1\n风机,2\n阀门,3\n水表,4\n", "a.csv")


@pytest.mark.parametrize(
    "period",
    [
        "2018年12月31日",
        "2018-12-31",
        "2018.12.31",
        "2018年1-3月",
        "2018年 1-6 月",
        "2018年1月至3月",
    ],
)
@pytest.mark.parametrize("first", ["项目", ""])
def test_dates_and_spans_of_months_over_values_are_names(period: str, first: str) -> None:
    before = period.replace("2018", "2017")
    rows = [[first, period, before], ["营业收入", "131.5", "88.0"], ["营业成本", "97", "66"]]
    name = f"{first}: " if first else ""
    assert list(table_lines(rows)) == [
        f"{name}营业收入; {period}: 131.5; {before}: 88.0",
        f"{name}营业成本; {period}: 97; {before}: 66",
    ]


def test_dates_among_others_and_amounts_name_no_columns() -> None:
    rows = [["甲", "2018-01-01", "2018-12-31"], ["乙", "2018-02-01", "2018-11-30"]]
    assert list(table_lines(rows)) == [" | ".join(row) for row in rows]
    dates = ["批准", "2006-07-21", "2007-01-09", "2006-11-27"]
    assert next(table_lines([dates, ["金额", "3", "4", "5"]])) == " | ".join(dates)
    assert list(table_lines([["成本", "2018.12", "1999.50"], ["收入", "3", "4"]])) == [
        "成本 | 2018.12 | 1999.50",
        "收入 | 3 | 4",
    ]


def test_rows_whose_labels_all_end_in_a_colon_are_a_form() -> None:
    number = ["索 引 号：", "LJ0012/2026-00045", "主题分类：", "交通"]
    date = ["发文机关：", "市交通运输局", "成文日期：", "2026年05月18日"]
    title = ["标 题：", "票价", Covered("票价"), Covered("票价")]
    assert list(table_lines([number, date, title])) == [
        "索 引 号: LJ0012/2026-00045; 主题分类: 交通",
        "发文机关: 市交通运输局; 成文日期: 2026年05月18日",
        "标 题: 票价",
    ]


def test_what_stands_under_each_name_of_a_column_belongs_to_it() -> None:
    head = [["", "第一季度", "第二季度"], ["", "（1-3月份）", "（4-6月份）"]]
    rows = [["营业收入", "366.1", "258.2"], ["净利润", "150.5", "31.9"]]
    first = "营业收入; 第一季度/（1-3月份）: 366.1; 第二季度/（4-6月份）: 258.2"
    assert next(table_lines([*head, *rows])) == first


def test_rows_without_names_keep_their_texts_below_the_names_of_columns() -> None:
    rows = [["", "产品", "库存"], ["", "电脑", "缺货"], ["", "手机", "3"], ["", "平板", "8"]]
    assert list(table_lines(rows)) == [
        "产品: 电脑; 库存: 缺货",
        "产品: 手机; 库存: 3",
        "产品: 平板; 库存: 8",
    ]
    head = [["地区", "产品", "库存"], ["北区", "电脑", "缺货"]]
    grouped = [*head, ["", "手机", "缺货"], ["", "平板", "停产"], ["南区", "耳机", "5"]]
    assert "地区: 南区; 产品: 耳机; 库存: 5" in list(table_lines([*grouped, ["", "键盘", "7"]]))


def test_times_of_day_name_rows() -> None:
    days = [f"9月{day}日" for day in range(20, 30)]
    empty = [""] * 8
    rows = [["8:00", *empty, "8:00 泸沽湖", ""], ["11:00", "11:03 到大理", *empty, "11:30 东航"]]
    assert list(table_lines([["日期", *days], *rows]))[-2:] == [
        "日期: 8:00; 9月28日: 8:00 泸沽湖",
        "日期: 11:00; 9月20日: 11:03 到大理; 9月29日: 11:30 东航",
    ]


def test_dashes_below_a_name_stand_for_no_value() -> None:
    head = [["日期", "发生额", "", "余额"], ["", "借方", "贷方", ""]]
    rows = [["2026-01-08", "13.00", "--", "54.87"], ["2026-01-09", "--", "25.67", "80.54"]]
    assert list(table_lines([*head, *rows])) == [
        "日期: 2026-01-08; 发生额/借方: 13.00; 发生额/贷方: --; 余额: 54.87",
        "日期: 2026-01-09; 发生额/借方: --; 发生额/贷方: 25.67; 余额: 80.54",
    ]


def test_a_sentence_merged_under_several_names_is_read_once() -> None:
    long = "依据指引挂物料清单，作业单上写明正确的金纸，实际情况超出指引范围时召集各部门商定做法。"
    head = ["序", "检测范围", "色差", "耐晒"]
    rows = [["1", "出厂", "6", "无"], ["2", long, Covered(long), Covered(long)]]
    assert list(table_lines([head, *rows]))[-1] == f"序: 2; 检测范围, 色差, 耐晒: {long}"


def test_totals_below_a_gap_have_the_columns_of_the_table_above() -> None:
    head = ["月份", "订单", "金额", "说明"]
    rows = [["1月", "25", "310", "促销"], ["2月", "31", "420", ""], [""], ["全年累计", "56", "730"]]
    assert list(table_lines([head, *rows]))[-1] == "月份: 全年累计; 订单: 56; 金额: 730"


def test_a_row_with_a_dash_is_no_part_of_the_head() -> None:
    head = ["试验项目", "等级", "试验值", "回路"]
    rows = [["电压暂降", "--", "3000:1(60%)", "整机"], ["电快速瞬变", "3/4", "4.0kV", "电压回路"]]
    first = "试验项目: 电压暂降; 等级: --; 试验值: 3000:1(60%); 回路: 整机"
    assert next(table_lines([head, *rows, ["浪涌", "4", "2.5kV", "电压回路"]])) == first


def test_dashes_do_not_make_a_row_of_texts_a_head() -> None:
    head = ["城市", "负责人", "扣分", "备注"]
    rows = [["北京", "王五", "无", ""], ["上海", "李四", "-", ""], ["广州", "赵六", "5", "好"]]
    assert list(table_lines([head, *rows, ["深圳", "钱七", "-", ""]]))[:2] == [
        "城市: 北京; 负责人: 王五; 扣分: 无",
        "城市: 上海; 负责人: 李四; 扣分: -",
    ]


@pytest.mark.parametrize(
    ("rows", "right"),
    [
        ([["", "", "", ""], ["合计", "300"], ["已付", "100"]], ["合计 | 300", "已付 | 100"]),
        ([["8:30 前到岗", "", "", ""]], ["8:30 前到岗"]),
    ],
)
def test_sums_in_pairs_and_notes_that_begin_with_a_time_are_of_no_column(
    rows: list[list[str]], right: list[str]
) -> None:
    table = [["品名", "数量", "金额"], ["笔", "2", "100"], ["纸", "3", "200"]]
    assert list(table_lines([*table, *rows]))[2:] == right


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        pytest.param(
            [["团队名称", "七组", "小组编号"], ["计划人", "秦某", "计划时间", "4.13"],
             *([f"周{day}", *spanned("写测试", 3)] for day in "一二三四五")],
            ["团队名称 | 七组 | 小组编号", "计划人: 秦某; 计划时间: 4.13",
             *(f"周{day} | 写测试" for day in "一二三四五")],
            id="the last value is missing",
        ),
        pytest.param(
            [["查询明细：", "", "币种:人民币"], ["日期", "金额", "附言"],
             ["3月1日", "50.00", "汇入"]],
            ["查询明细： | 币种:人民币", "日期: 3月1日; 金额: 50.00; 附言: 汇入"],
            id="above a statement",
        ),
        pytest.param(
            [["项目名称", *spanned("爬虫平台", 4)],
             ["评审对象", "说明书", "版本号", *spanned("V1", 2)],
             ["序号", "位置", "问题", "报告人", "意见"], ["1", "封面", "无图", "赵某", "改"]],
            ["项目名称: 爬虫平台", "评审对象: 说明书; 版本号: V1",
             "序号: 1; 位置: 封面; 问题: 无图; 报告人: 赵某; 意见: 改"],
            id="a value across the columns of the table below",
        ),
        pytest.param(
            [["状态： 草稿", "标识：", "S-20"], [Continued("状态： 草稿"), "版本：", "0.1.1"]],
            ["状态： 草稿", "标识: S-20", "版本: 0.1.1"],
            id="labels with a colon beside one cell",
        ),
        pytest.param(
            [["活动名称：", "音乐会"], ["申请人：", ""], ["审批", "已批准"]],
            ["活动名称: 音乐会", "申请人：", "审批 | 已批准"],
            id="only the first value is there",
        ),
        pytest.param(
            [["论文选题", "成都市网约车数据仓库设计"], ["题目类型", "工程设计"],
             spanned("一、选题依据：网约车数据含时空轨迹，对城市交通治理意义重大，难以处理。", 2),
             spanned("二、主要内容：识别网约车高频上下车区域，结合热力图展示出行需求集中区。", 2)],
            ["论文选题 | 成都市网约车数据仓库设计", "题目类型 | 工程设计",
             "一、选题依据：网约车数据含时空轨迹，对城市交通治理意义重大，难以处理。",
             "二、主要内容：识别网约车高频上下车区域，结合热力图展示出行需求集中区。"],
            id="a text across pairs",
        ),
    ],
)  # fmt: skip
def test_rows_of_a_form_are_no_head(rows: list[list[str]], lines: list[str]) -> None:
    assert list(table_lines(rows)) == lines


@pytest.mark.parametrize(
    ("head", "first"),
    [
        (
            ["项目：", "人数：", "金额：", "备注："],
            "项目：: 甲; 人数：: 10; 金额：: 20; 备注：: 30",
        ),
        (["单位", "1年以内", "1-2年", "2-3年"], "单位: 甲; 1年以内: 10; 1-2年: 20; 2-3年: 30"),
    ],
)
def test_labels_with_colons_and_spans_of_years_name_columns(head: list[str], first: str) -> None:
    rows = [["甲", "10", "20", "30"], ["乙", "10", "20", "3"]]
    assert next(table_lines([head, *rows])) == first


def test_spans_of_ages_name_columns_of_texts() -> None:
    rows = [["年龄", "0-3岁", "4-6岁"], ["活动", "爬行", "游戏"], ["玩具", "摇铃", "积木"]]
    assert next(table_lines(rows)) == "年龄: 活动; 0-3岁: 爬行; 4-6岁: 游戏"


def test_an_upper_name_that_ends_in_a_colon_stays_above_its_columns() -> None:
    head = [["地区：", "人数", "", "金额", ""], ["", "男", "女", "男", "女"]]
    assert next(table_lines([*head, ["常州", "1", "2", "3", "4"]])) == (
        "地区：: 常州; 人数/男: 1; 人数/女: 2; 金额/男: 3; 金额/女: 4"
    )
