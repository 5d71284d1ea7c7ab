"""The parts of drawings with a chart or SmartArt, as Office writes them."""

_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006"
NAMES = (
    f'xmlns:a="{_DRAWING}/main" xmlns:c="{_DRAWING}/chart" xmlns:r="{_OFFICE}" '
    f'xmlns:xdr="{_DRAWING}/spreadsheetDrawing"'
)


def relations(**targets: str) -> str:
    """The relations of a part: kind and target, with the ids ``rId1`` and so on."""
    items = "".join(
        f'<Relationship Id="rId{number}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets.items(), 1)
    )
    name = "http://schemas.openxmlformats.org/package/2006/relationships"
    return f'<Relationships xmlns="{name}">{items}</Relationships>'


def _cache(kind: str, code: str, **points: str) -> str:
    values = "".join(
        f"<c:pt idx='{name[1:]}'><c:v>{text}</c:v></c:pt>" for name, text in points.items()
    )
    code = f"<c:formatCode>{code}</c:formatCode>" if code else ""
    return f"<c:{kind}Ref><c:f>x</c:f><c:{kind}Cache>{code}{values}</c:{kind}Cache></c:{kind}Ref>"


def _series(name: str, code: str, **values: str) -> str:
    return (
        f"<c:ser><c:tx>{_cache('str', '', p0=name)}</c:tx>"  # codespell:ignore ser
        f"<c:cat>{_cache('str', '', p0='无锡店', p1='苏州店')}</c:cat>"
        f"<c:val>{_cache('num', code, **values)}</c:val></c:ser>"  # codespell:ignore ser
    )


CHART = (
    f"<c:chartSpace {NAMES}><c:chart><c:title><c:tx><c:rich><a:bodyPr/><a:p><a:r><a:t>各店销售额"
    "</a:t></a:r></a:p></c:rich></c:tx></c:title><c:plotArea><c:barChart>"
    f"{_series('一月', '0.0%', p0='0.131')}{_series('二月', 'General', p0='150', p1='162')}"
    "</c:barChart></c:plotArea></c:chart></c:chartSpace>"
)
"""Bars for two shops; of one of them the first month is missing."""

_POINTS = {"5": "财务总监签字", "4": "附发票", "2": "申请人填单", "3": "部门经理审核"}
DIAGRAM = (
    f'<dgm:dataModel xmlns:dgm="{_DRAWING}/diagram" {NAMES}><dgm:ptLst>'
    '<dgm:pt modelId="1" type="doc"/><dgm:pt modelId="9" type="pres"/>'
    + "".join(
        f'<dgm:pt modelId="{key}"><dgm:t><a:p><a:r><a:t>{words}</a:t></a:r></a:p></dgm:t></dgm:pt>'
        for key, words in _POINTS.items()
    )
    + "</dgm:ptLst><dgm:cxnLst>"
    + "".join(
        f'<dgm:cxn modelId="{10 + n}" srcId="{above}" destId="{below}" srcOrd="{order}"/>'
        for n, (above, below, order) in enumerate(
            [("1", "5", 2), ("1", "2", 0), ("2", "4", 0), ("1", "3", 1)]
        )
    )
    + '<dgm:cxn modelId="20" type="presOf" srcId="5" destId="9"/></dgm:cxnLst></dgm:dataModel>'
)
"""SmartArt whose points were written in another order than they stand in."""
