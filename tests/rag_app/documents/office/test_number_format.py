from datetime import UTC, date, datetime, time, timedelta

import pytest

from rag_app.documents.office.number_format import as_shown


def moment(*parts: int) -> datetime:
    """As openpyxl gives it: a spreadsheet knows no time zones."""
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("value", "number_format", "shown"),
    [
        (-0.042, "0.0%", "-4.2%"),
        (0.5, "0%", "50%"),
        (8600, "¥#,##0.00", "¥8,600.00"),
        (8600, '"¥"#,##0.00', "¥8,600.00"),
        (8600.5, "[$¥-804]#,##0.00", "¥8,600.50"),
        (-1234.5, "#,##0.00_);(#,##0.00)", "(1,234.50)"),
        (-1234.5, "#,##0.00_);[Red]\\(#,##0.00\\)", "(1,234.50)"),
        (0, '0;-0;"—"', "—"),
        (7, "000", "007"),
        (12.5, '0.0"万元"', "12.5万元"),
        (1234567, "#,##0,", "1,235"),
        (1.50, "0.##", "1.5"),
        (2.0, "0.##", "2"),
        (12345.678, "0.00E+00", "1.23E+04"),
        (0.75, "# ?/?", "0.75"),
        (312500, '0!.0,"万"', "31.3万"),
        (98000, '0!.0,"万"', "9.8万"),
        (5712345678, "000-0000-0000", "057-1234-5678"),
        (12345678.9, '[>=10000]0.00,"千";#,##0.00', "12345.68千"),
        (980, '[>=10000]0.00,"千";#,##0.00', "980.00"),
        (1, '[=1]"是";[=0]"否";General', "是"),
        (0, '[=1]"是";[=0]"否";General', "否"),
        (2.5, '[=1]"是";[=0]"否";General', "2.5"),
        (0.125, "0.00", "0.13"),
        (-2.5, "0", "-3"),
        ("3", '@"号"', "3号"),
        (time(9, 30), '上午/下午h"时"mm"分"', "上午9时30分"),
        (time(17, 5), "h:mm AM/PM", "5:05 PM"),
        (moment(2020, 1, 1, 1, 2, 3, 450_000), "mm:ss.00", "02:03.45"),
        (110101199003070000.0, "General", "110101199003070000"),
        (110101199003070000.0, "0", "110101199003070000"),
        (0.1, "General", "0.1"),
        (3.0, "General", "3"),
        (12, "@", "12"),
        (True, "General", "TRUE"),
        (False, "General", "FALSE"),
        (None, "General", ""),
        ("007", "@", "007"),
        (moment(1990, 7, 1), 'yyyy"年"m"月"', "1990年7月"),
        (moment(2023, 3, 5), "yyyy/m/d", "2023/3/5"),
        (moment(2023, 3, 5), "mm-dd-yy", "2023-03-05"),
        (moment(2023, 3, 5, 14, 7), "yyyy-mm-dd hh:mm", "2023-03-05 14:07"),
        (moment(2023, 3, 5, 14, 7), "h:mm AM/PM", "2:07 PM"),
        (moment(2023, 3, 5), 'm"月"d"日";@', "3月5日"),
        (moment(2023, 3, 5), "aaaa", "星期日"),
        (date(2023, 3, 5), "General", "2023-03-05"),
        (time(9, 30), "h:mm", "09:30:00"),
        (timedelta(hours=26, minutes=15), "[h]:mm", "26:15"),
        (timedelta(hours=26, minutes=15), "[h]:mm:ss", "26:15:00"),
    ],
)
def test_values_are_shown_as_in_the_sheet(value: object, number_format: str, shown: str) -> None:
    assert as_shown(value, number_format) == shown
