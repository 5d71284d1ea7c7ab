"""The collected cases of files that were once read wrongly, where they are there."""

import pytest

from rag_app.documents.loaders import FileLoader
from rag_app.documents.ocr import is_available
from rag_app.errors import DocumentError
from tests.paths import TEST_DATA

CASES = TEST_DATA.parent / "cases" / "documents"
if not CASES.is_dir():  # they are more of what other tests prove
    pytest.skip(f"no cases at {CASES}", allow_module_level=True)

SAYS = {
    "auto_numbered_clauses.docx": ["第三条 租金为每月人民币八千六百元", "# 第二章 租金"],
    "dropped_parts.docx": [
        "姓单于，", "填表日期：2023年8月15日", "巡检路线：水泵房、冷却塔", "ZB-2023-017", "周某某",
        "姓名: 工号1034; 时段: 12:00-17:00",
    ],
    "vertical_merge.docx": ["分厂: 一分厂; 车间: 锻造; 人数: 35; 负责人: 乙某"],
    "odd_shape.pptx": ["负责人是基建处", "三季度完成二期厂房封顶"],
    "title_row_merged_percent.xlsx": ["大区: 华东; 门店: 无锡店;", "同比增长: -4.2%"],
    "form_layout.xlsx": ["检测项目: 镉 mg/L; 限值: 0.02; 实测值: 0.031; 结论: 不合格"],
    "year_columns.csv": ["产品: 铝管; 2020: 21; 2021: 22; 2022: 23"],
    "fullwidth_comma_in_head.csv": ["部门: 采购部; 备注（来源，时间，经手，其他）: 含税，开票"],
    "sep_line.csv": ["姓名: 张某; 城市: 绍兴"],
    "faq_accordion.html": ["## 宽带报修电话是多少？\n\n请拨打 10188"],
    "ruby.html": ["这个邯郸人"],
    "internal_entity.epub": ["乙—丙"],
    "rich_gbk.rtf": ["会议定于三月九日下午两点在二号楼会议室召开。"],
    "page.mht": ["会议定于三月九日下午两点在二号楼会议室召开。"],
    "escaped.json": ["正文: 会议定于三月九日下午两点在二号楼会议室召开。"],
    "notebook.ipynb": ["会议定于三月九日下午两点在二号楼会议室召开。"],
    "euc_jp.txt": ["図書館は火曜日から日曜日まで開いています"],
    "euro_cp936.txt": ["价格为€12"],
    "mixed_utf8_gbk.log": ["系统启动成功，加载配置文件完毕", "用户登录失败，请检查密码"],
    "zero_width_space.txt": ["冬季气温低于零下十度的地区须加装保温套"],
    "number_over_line_break.pdf": ["202315的台账", "8000元", "零3个月"],
    "spaced_han.pdf": ["关于城市供水的几项规定", "居民每立方米收费二元九角"],
    "owner_only.pdf": ["关于城市供水的几项规定"],
    "vertical_right_to_left.pdf": ["東門石橋建於乾隆十二年由知縣陳文煥捐俸倡修"],
    "two_columns_row_order.pdf": ["到期可以续借一次。遗失图书", "一个月内违约三次的读者，七天内"],
}  # fmt: skip
"""File → what it says, to the letter."""


@pytest.mark.parametrize("name", SAYS)
def test_a_case_says_what_its_document_says(name: str) -> None:
    (document,) = FileLoader(CASES / name).load()
    assert [line for line in SAYS[name] if line not in document.page_content] == []


@pytest.mark.parametrize(
    ("name", "hidden"),
    [
        ("dropped_parts.docx", "已改放二楼档案室。\n\n> 批注"),
        ("ruby.html", "hán"),
        ("sep_line.csv", "sep="),
        ("rich_gbk.rtf", "\\'"),
        ("zero_width_space.txt", "\u200b"),
        ("number_over_line_break.pdf", "20231 5"),
    ],
)
def test_a_case_does_not_show_codes(name: str, hidden: str) -> None:
    (document,) = FileLoader(CASES / name).load()
    assert hidden not in document.page_content


def test_pages_that_are_pictures_are_noted() -> None:
    (document,) = FileLoader(CASES / "mostly_scanned.pdf", ocr="never").load()
    assert "3 of 4 pages" in document.metadata["notes"][0]


def test_codes_of_a_font_are_refused() -> None:
    with pytest.raises(DocumentError, match="font"):
        FileLoader(CASES / "no_tounicode.pdf", ocr="never").load()


@pytest.mark.slow
@pytest.mark.skipif(not is_available(), reason="the extra ocr is not installed")
@pytest.mark.parametrize(
    ("name", "text"),
    [("mostly_scanned.pdf", "第三条不得饲养宠物"), ("no_tounicode.pdf", "来料须在二十四小时以内")],
)
def test_pictures_and_codes_of_fonts_are_read(name: str, text: str) -> None:
    (document,) = FileLoader(CASES / name).load()
    assert text in document.page_content
