"""Number formats that programs in Chinese know by their numbers alone (ECMA-376, 18.8.30)."""

EAST_ASIAN_FORMATS = (
    dict.fromkeys((27, 36, 50, 52, 57), 'yyyy"年"m"月"')
    | dict.fromkeys((28, 29, 51, 53, 54, 58), 'm"月"d"日"')
    | {30: "m-d-yy", 31: 'yyyy"年"m"月"d"日"', 32: 'h"时"mm"分"', 33: 'h"时"mm"分"ss"秒"'}
    | dict.fromkeys((34, 55), '上午/下午h"时"mm"分"')
    | dict.fromkeys((35, 56), '上午/下午h"时"mm"分"ss"秒"')
)
"""Number → format; files use them without saying what they are."""
