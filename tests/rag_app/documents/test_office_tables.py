"""Tables as offices write them: forms, lists, statements and quotations."""

import pytest

from rag_app.documents.tables import table_lines
from rag_app.documents.tables.cells import Continued, Covered


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
            [["姓名", "秦某", "性别", "女"], ["学历", "硕士", "政治面貌", "群众"],
             ["教育经历", *[Covered("教育经历")] * 3], ["起止时间", "学校", "专业", "学位"],
             ["2010.09-2014.07", "农大", "土壤学", "学士"]],
            ["姓名: 秦某; 性别: 女", "学历: 硕士; 政治面貌: 群众", "教育经历",
             "起止时间: 2010.09-2014.07; 学校: 农大; 专业: 土壤学; 学位: 学士"],
            id="a list below its name in a form",
        ),
        pytest.param(
            [["Column1", "Column2"], ["data1", "data2"], ["data3", "data4"]],
            ["Column1: data1; Column2: data2", "Column1: data3; Column2: data4"],
            id="numbered names above codes of another form",
        ),
        pytest.param(
            [["部门", "预算", "负责人", "进度"], ["", "万元", "", "%"],
             ["销售部", "30", "张三", "80"]],
            ["部门: 销售部; 预算/万元: 30; 负责人: 张三; 进度/%: 80"],
            id="names of columns that are those of fields above their units",
        ),
        pytest.param(
            [["Name", "Description"], ["id", "Primary key"], ["Name", "As it is shown"]],
            ["Name: id; Description: Primary key", "Name: Name; Description: As it is shown"],
            id="a list of names that has the name of its column",
        ),
        pytest.param(
            [["Applicant", "John Hill", "Unit", "Photo"],
             ["Manager", "Ann Lee", "Town", Continued("Photo")],
             ["Project", "Alpha", "State", Continued("Photo")]],
            ["Applicant | John Hill | Unit | Photo", "Manager | Ann Lee | Town | Photo",
             "Project | Alpha | State | Photo"],
            id="a photo beside all rows of a form",
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
            ["姓名: 吕强; 部门: 设备部",
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
        pytest.param(
            [["品牌", "海信", "型号", "BCD-210"], ["颜色", "银灰", "容积", "210L"],
             ["能效", "一级", "噪音", "36dB"]],
            ["品牌: 海信; 型号: BCD-210", "颜色: 银灰; 容积: 210L", "能效: 一级; 噪音: 36dB"],
            id="two names a row, of which one has a text beside it",
        ),
        pytest.param(
            [["基本情况", "姓名", "江涛", "性别", "男"],
             [Continued("基本情况"), "籍贯", "常州", "学历", "本科"],
             ["家庭成员", "称谓", "姓名", "单位", "电话"],
             [Continued("家庭成员"), "父亲", "江山", "退休", "8101"],
             [Continued("家庭成员"), "母亲", "李梅", "一中", "8102"]],
            ["基本情况", "姓名: 江涛; 性别: 男", "籍贯: 常州; 学历: 本科", "家庭成员",
             "称谓: 父亲; 姓名: 江山; 单位: 退休; 电话: 8101",
             "称谓: 母亲; 姓名: 李梅; 单位: 一中; 电话: 8102"],
            id="parts of a form with their names beside them",
        ),
        pytest.param(
            [["报销人", "张三", "部门", "销售部"], ["项目", "张数", "金额", "备注"],
             ["交通费", "3", "260", ""], ["住宿费", "1", "500", "两晚"],
             ["金额（大写）", "柒佰陆拾元整", *[Covered("柒佰陆拾元整")] * 2]],
            ["报销人: 张三; 部门: 销售部", "项目: 交通费; 张数: 3; 金额: 260",
             "项目: 住宿费; 张数: 1; 金额: 500; 备注: 两晚", "金额（大写）: 柒佰陆拾元整"],
            id="a list between rows of a form",
        ),
        pytest.param(
            [["申请人", "李军", "日期", "2024-03-01"], ["名称", "规格", "数量", "金额"],
             ["轴承", "6204", "10", "250"], ["油封", "40x60", "5", "50"],
             ["部门意见", "同意", "总经理意见", "批准", Covered("批准")]],
            ["申请人: 李军; 日期: 2024-03-01", "名称: 轴承; 规格: 6204; 数量: 10; 金额: 250",
             "名称: 油封; 规格: 40x60; 数量: 5; 金额: 50", "部门意见: 同意; 总经理意见: 批准"],
            id="a list above a row of signatures",
        ),
        pytest.param(
            [["经费", "5000 元", "项目期限", "2024 年"],
             ["项目成员", "姓名", "学号", "分工"],
             [Continued("项目成员"), "邓某", "2101050325", "后端"],
             [Continued("项目成员"), "李某", "2105010224", "前端"]],
            ["经费 | 5000 元 | 项目期限 | 2024 年",
             "项目成员; 姓名: 邓某; 学号: 2101050325; 分工: 后端",
             "项目成员; 姓名: 李某; 学号: 2105010224; 分工: 前端"],
            id="a list with its name beside all its rows",
        ),
        pytest.param(
            [["类别", "品种", "产地"], ["水果", "苹果", "烟台"], [Continued("水果"), "梨", "砀山"],
             [Continued("水果"), "桃", "阳山"], [Continued("水果"), "枣", "沧州"]],
            ["类别: 水果; 品种: 苹果; 产地: 烟台", "类别: 水果; 品种: 梨; 产地: 砀山",
             "类别: 水果; 品种: 桃; 产地: 阳山", "类别: 水果; 品种: 枣; 产地: 沧州"],
            id="a group's name beside many rows of texts",
        ),
        pytest.param(
            [["时间", Covered("时间"), "内容"], ["第一周", "星期一", ""],
             [Continued("第一周"), "星期二", ""], [Continued("第一周"), "星期三", ""],
             ["周末", Covered("周末"), ""]],
            ["时间 | 内容", "时间: 第一周; 时间: 星期一", "时间: 第一周; 时间: 星期二",
             "时间: 第一周; 时间: 星期三", "时间: 周末"],
            id="a name of two columns above cells that go on below",
        ),
    ],
)  # fmt: skip
def test_each_row_says_what_its_values_are(rows: list[list[str]], lines: list[str]) -> None:
    assert list(table_lines(rows)) == lines
