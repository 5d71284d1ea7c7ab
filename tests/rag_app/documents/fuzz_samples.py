"""Small real files of every format that is read, to be damaged."""

import base64
import io
import json
import quopri
import struct

import xlwt
from PIL import Image

from tests.paths import CORPUS
from tests.rag_app.documents import making
from tests.rag_app.documents.making import BIOGRAPHY, LAW, POLICY, TRADITIONAL
from tests.rag_app.documents.office.compound import compound_file
from tests.rag_app.documents.office.word import cell, table, text, word_file
from tests.rag_app.documents.pdf import drawing

_ROWS = [["门店", "一月", "二月"], ["无锡店", "131", ""], ["常州店", "88", "97"]]
_ENGLISH = (
    "The pump station is inspected twice a week. Close the inlet valve before the cover is lifted, "
    "and write the pressure into the log. Spare seals are kept in cabinet 7; order more when fewer "
    "than twelve are left."
)


def samples() -> dict[str, bytes]:
    """Return files by name; each format of `NAMED_FORMATS` has one or more."""
    named = _texts() | _pages() | _office() | _old_office() | _mails() | _pictures()
    corpus = (path for path in sorted(CORPUS.iterdir()) if path.name != "questions.jsonl")
    return named | {path.name: path.read_bytes() for path in corpus}


def _texts() -> dict[str, bytes]:
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"display_name": "Python 3", "name": "python3"}},
        "cells": [
            {"cell_type": "markdown", "id": "a1", "metadata": {}, "source": ["# 年假\n", POLICY]},
            {"cell_type": "code", "id": "b2", "metadata": {}, "execution_count": 1,
             "source": ["print(40 + 2)"],
             "outputs": [{"output_type": "stream", "name": "stdout", "text": ["42\n"]}]},
        ],
    }  # fmt: skip
    records = [{"门店": row[0], "一月": row[1], "note": _ENGLISH} for row in _ROWS[1:]]
    return {
        "utf16.txt": BIOGRAPHY.encode("utf-16"),
        "big5.txt": TRADITIONAL.encode("big5"),
        "gbk.csv": f"姓名,简介\n李白,{BIOGRAPHY}\n规定,{POLICY}\n".encode("gbk"),
        "tabs.tsv": "型号\t2020\t2021\n型号30\t132\t159\n".encode(),
        "notebook.ipynb": json.dumps(notebook).encode(),
        "data.json": json.dumps({"名称": LAW, "records": records}).encode(),
        "lines.jsonl": "".join(
            json.dumps(record, ensure_ascii=False) + "\n" for record in records
        ).encode(),
        "paper.tex": _LATEX.encode(),
        "guide.rst": _RESTRUCTURED.encode(),
        "plan.org": _ORG.encode(),
        "zh.properties": b"# a\na=\\u9501\\u5b9a\n" + POLICY[:200].encode(),
        "manual.adoc": _ASCIIDOC.encode(),
        "dam.wiki": _WIKI.encode(),
        "safety.textile": _TEXTILE.encode(),
        "contract.typ": _TYPST.encode(),
        "film.srt": _cues("{n}\n00:00:{a:02},500 --> 00:00:{b:02},000\n<i>{said}</i>\n\n").encode(),
        "talk.vtt": (
            "WEBVTT\n\nNOTE draft of May\n\nSTYLE\n::cue { color: red }\n\n"
            + _cues("00:{a:02}.000 --> 00:{b:02}.000 align:start\n<v 张三>{said}</v>\n\n")
        ).encode(),
        "short.sbv": _cues("0:00:{a:02}.000,0:00:{b:02}.000\n{said}\n\n").encode(),
        "styled.ass": (
            "[Script Info]\nTitle: 检修\n\n[V4+ Styles]\nFormat: Name, Fontname\n"
            "Style: Default,SimHei\n\n[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, "
            "MarginR, MarginV, Effect, Text\n"
            + _cues(
                "Dialogue: 0,0:00:{a:02}.00,0:00:{b:02}.00,Default,,0,0,0,,{{\\fad(120,0)}}{said}\n"
            )
        ).encode(),
        "song.lrc": ("[ti:渡口]\n[ar:船家]\n" + _cues("[00:{a:02}.30]{said}\n")).encode("gbk"),
        "meetings.ics": _CALENDAR.replace("\n", "\r\n").encode(),
        "people.vcf": _CONTACTS.replace("\n", "\r\n").encode(),
    }


def _pages() -> dict[str, bytes]:
    prose = f"<p>{LAW}</p><p>{_ENGLISH}</p>"
    book = (
        '<FictionBook xmlns="http://www.gribuser.ru/xml/fictionbook/2.0"><description><title-info>'
        "<book-title>渡口</book-title></title-info></description><body><section><title><p>总则</p>"
        f'</title>{prose}</section></body><binary id="a.png" content-type="image/png">'
        f"{base64.b64encode(_picture('png')).decode()[:400]}</binary></FictionBook>"
    )
    outline = f'<outline text="供水"><outline text="{_ENGLISH}" _note="{LAW}"/></outline>'
    map_ = f'<node TEXT="年假" ID="n1"><node TEXT="{POLICY}" CREATED="1700000000000"/></node>'
    lines = "".join(
        f'<p begin="00:00:0{at}.000" end="00:00:0{at + 1}.000">{said}</p>'
        for at, said in enumerate(_said())
    )
    declared = '<?xml version="1.0" encoding="UTF-8"?>\n'
    xml = {
        "book.fb2": book,
        "outline.opml": f"<opml><head><title>厂</title></head><body>{outline}</body></opml>",
        "mind.mm": f'<map version="1.0.1">{map_}</map>',
        "record.xml": f"<items><item><name>水泵</name><note>{_ENGLISH}</note></item></items>",
        "captions.ttml": f"<tt><body><div>{lines}</div></body></tt>",
    }
    return {
        "page.xhtml": f"<html><body><h1>法</h1>{prose}</body></html>".encode(),
        **{name: (declared + content).encode() for name, content in xml.items()},
    }


def _office() -> dict[str, bytes]:
    long = [BIOGRAPHY, POLICY, TRADITIONAL, LAW]
    rows = "".join(
        "<table:table-row>"
        + "".join(
            f"<table:table-cell office:value-type='string'><text:p>{value}</text:p>"
            "</table:table-cell>"
            for value in row
        )
        + "</table:table-row>"
        for row in _ROWS
    )
    writer = f"<text:h text:outline-level='1'>年假</text:h><text:p>{POLICY}</text:p>"
    slide = f"<draw:page><draw:frame><draw:text-box><text:p>{LAW}</text:p></draw:text-box>"
    topic = {"title": "厂", "children": {"attached": [{"title": said} for said in long]}}
    sheet = {"title": "图", "rootTopic": topic | {"notes": {"plain": {"content": LAW}}}}
    return {
        "short.pdf": making.pdf([BIOGRAPHY[:30]], [POLICY[:30]]),
        "locked.pdf": making.locked_pdf(),
        "prose.pdf": drawing.pdf(lambda page: drawing.lines(page, [t[:40] for t in long])),
        "table.pdf": drawing.pdf(lambda page: drawing.ruled_table(page, _ROWS)),
        "apart.pdf": drawing.pdf(lambda page: drawing.lines(page, ["关于供水的规定"], tracking=6)),
        "plain.docx": making.docx(*long, heading="规定"),
        "table.docx": making.docx_table(_ROWS),
        "nested.docx": word_file(text("甲") + table(cell(table(cell("乙")) + text("丙")))),
        "slides.pptx": making.pptx(("建设", POLICY), ("养护", LAW)),
        "sheets.xlsx": making.xlsx({"门店": _ROWS, "数": [["名称", 1], ["甲", 2.5]]}),
        "book.epub": making.epub("书", f"<p>{LAW}</p>", f"<p>{BIOGRAPHY}</p>"),
        "map.xmind": making.zipped({"content.json": json.dumps([sheet])}),
        "files.zip": making.zipped({"a.txt": LAW, "b/c.md": "# 题\n" + POLICY}),
        "letter.odt": _odf("text", writer),
        "shops.ods": _odf("spreadsheet", f"<table:table table:name='门店'>{rows}</table:table>"),
        "talk.odp": _odf("presentation", f"{slide}</draw:frame></draw:page>"),
        "flat.fodt": _flat(writer).encode(),
    }


_NAMES = " ".join(
    f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for prefix, name in (
        ("office", "office"),
        ("text", "text"),
        ("table", "table"),
        ("draw", "drawing"),
    )
)


def _odf(kind: str, body: str) -> bytes:
    content = (
        f"<office:document-content {_NAMES}><office:body><office:{kind}>{body}</office:{kind}>"
        "</office:body></office:document-content>"
    )
    mime = f"application/vnd.oasis.opendocument.{kind}"
    return making.zipped({"mimetype": mime, "content.xml": content})


def _flat(body: str) -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<office:document {_NAMES} '
        'office:mimetype="application/vnd.oasis.opendocument.text"><office:body><office:text>'
        f"{body}</office:text></office:body></office:document>"
    )


def _old_office() -> dict[str, bytes]:
    book = xlwt.Workbook()
    sheet = book.add_sheet("门店")
    for row, values in enumerate([*_ROWS, [_ENGLISH, POLICY, ""]]):
        for column, value in enumerate(values):
            sheet.write(row, column, value)
    file = io.BytesIO()
    book.save(file)
    return {
        "rich.rtf": _rtf(POLICY, BIOGRAPHY),
        "english.rtf": (
            "{\\rtf1\\ansi\\ansicpg1252\\deff0{\\fonttbl{\\f0\\fswiss\\fcharset0 Arial;}}"
            f"\\pard\\plain\\f0\\fs24\\b Pumps\\b0\\par {_ENGLISH}\\par\\u27700?\\u27893?\\par}}"
        ).encode(),
        "shops.xls": file.getvalue(),
        "letter.doc": compound_file({"WordDocument": bytes(100)}),
        "old.ppt": compound_file({"PowerPoint Document": bytes(100)}),
        "notice.msg": compound_file(
            {
                "__properties_version1.0": bytes(32)
                + struct.pack("<IIQ", 0x00390040, 0, 133_364_448_000_000_000),
                "__substg1.0_0037001F": "会议通知".encode("utf-16-le"),
                "__substg1.0_0C1A001F": "张三".encode("utf-16-le"),
                "__substg1.0_1000001F": f"{POLICY}\r\n{_ENGLISH}".encode("utf-16-le"),
            }
        ),
    }


def _rtf(*paragraphs: str) -> bytes:
    lines = ("".join(f"\\'{byte:02x}" for byte in text.encode("gbk")) for text in paragraphs)
    return ("{\\rtf1\\ansi\\ansicpg936 " + "\\par ".join(lines) + "}").encode()


def _mails() -> dict[str, bytes]:
    head = "From: =?utf-8?b?5byg5LiJ?= <z@x.cn>\nTo: l@x.cn\nDate: Mon, 9 Mar 2026 14:00:00 +0800\n"
    head += "Message-ID: <7f31c0@x.cn>\nMIME-Version: 1.0\nSubject: "
    boundary = "----=_Part_1843_27716.1773036000"
    encoded = base64.encodebytes(POLICY.encode("gbk")).decode()
    quoted = quopri.encodestring(f"<p>{LAW}</p><p>{_ENGLISH}</p>".encode()).decode()
    parts = (
        f"--{boundary}\nContent-Type: text/plain; charset=gbk\n"
        f"Content-Transfer-Encoding: base64\n\n{encoded}\n"
        f"--{boundary}\nContent-Type: text/html; charset=utf-8\n"
        f"Content-Transfer-Encoding: quoted-printable\n\n{quoted}\n--{boundary}--\n"
    )
    page = parts[parts.rindex(f"--{boundary}\nContent-Type:") :]
    values = [(0x37, "会议通知"), (0xC1A, "张三"), (0x1000, POLICY)]
    properties = b"".join(_property(key, value.encode("utf-16-le")) for key, value in values)
    attributes = [(0x69007, struct.pack("<II", 936, 0))]
    attributes += [(0x69003, struct.pack("<I", len(values)) + properties)]
    wrapped = b"".join(
        struct.pack("<BII", 1, key, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)
        for key, value in attributes
    )
    return {
        "mail.eml": (
            f"{head}通知\nContent-Type: text/plain; charset=utf-8\n"
            f"Content-Transfer-Encoding: 8bit\n\n{POLICY}\n"
        ).encode(),
        "parts.eml": (
            f'{head}Pumps\nContent-Type: multipart/mixed; boundary="{boundary}"\n\n{parts}'
        ).encode(),
        "mails.mbox": (
            f"From z@x.cn Mon Mar  9 14:00:00 2026\n{head}通知\n\n{POLICY}\n\n"
            f"From z@x.cn Tue Mar 10 14:00:00 2026\n{head}Pumps\n\n{LAW}\n"
        ).encode(),
        "saved.mht": (
            "From: <Saved by Blink>\nSubject: Pumps\nMIME-Version: 1.0\n"
            f'Content-Type: multipart/related; type="text/html"; boundary="{boundary}"\n\n{page}'
        ).encode(),
        "winmail.tnef": struct.pack("<IH", 0x223E9F78, 1) + wrapped,
    }


def _property(key: int, value: bytes) -> bytes:
    filled = value.ljust((len(value) + 3) // 4 * 4, b"\0")
    return struct.pack("<HHII", 0x1F, key, 1, len(value)) + filled


def _pictures() -> dict[str, bytes]:
    return {f"picture.{kind}": _picture(kind) for kind in ("png", "jpeg", "tiff", "webp", "bmp")}


def _picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").save(file, kind)
    return file.getvalue()


def _said() -> list[str]:
    return [*POLICY.rstrip("。").split("。")[:3], *_ENGLISH.split(". ")[:2]]


def _cues(form: str) -> str:
    """Return subtitles: a cue of some seconds for each sentence."""
    return "".join(
        form.format(n=number, a=4 * number, b=4 * number + 3, said=said)
        for number, said in enumerate(_said(), 1)
    )


_LATEX = rf"""\documentclass[11pt,a4paper]{{article}}
\usepackage[UTF8]{{ctex}}
\usepackage{{graphicx,booktabs}}
\newcommand{{\unit}}[1]{{\,\mathrm{{#1}}}}
\title{{泵站规程}}
\author{{张三}}
\begin{{document}}
\maketitle
\section{{总则}}\label{{sec:general}}
{POLICY}

{_ENGLISH} See \ref{{sec:general}} and \cite[p.~7]{{wang2020}}.
\begin{{itemize}}
  \item 额定转速 $n = 1450\unit{{rpm}}$
  \item \textbf{{断电}}后\emph{{挂牌}}
\end{{itemize}}
\begin{{table}}[htbp]
  \centering
  \caption{{门店}}
  \begin{{tabular}}{{lrr}}
    \toprule
    门店 & 一月 & 二月 \\
    \midrule
    无锡店 & 131 & 88 \\
    \bottomrule
  \end{{tabular}}
\end{{table}}
\begin{{equation}}
  Q = \frac{{P}}{{\rho g H}}
\end{{equation}}
\end{{document}}
"""
_RESTRUCTURED = f"""泵站规程
========

:Author: 张三

.. contents:: 目录
   :depth: 2

总则
----

{POLICY}

.. note::

   {_ENGLISH}

- 断电后 **挂牌**
- see :ref:`general` and `the log <https://x.cn/log>`_

.. code-block:: python

   print(40 + 2)

======  ====  ====
门店    一月  二月
======  ====  ====
无锡店  131   88
======  ====  ====
"""
_ORG = f"""#+TITLE: 泵站规程
#+AUTHOR: 张三
* TODO [#A] 总则 :rules:
SCHEDULED: <2026-03-09 Mon>
:PROPERTIES:
:CUSTOM_ID: general
:END:
{POLICY}
** Pumps
{_ENGLISH} See [[https://x.cn/log][the log]].
#+BEGIN_SRC python
print(40 + 2)
#+END_SRC
| 门店   | 一月 |
|--------+------|
| 无锡店 | 131  |
"""
_WIKI = f"""<!-- 草稿 -->{{{{Infobox
| 库容 = 3亿方
}}}}
'''水库'''位于[[浙江省|浙江]]，<ref>《通志》。</ref>建于{{{{lang|zh|1958年}}}}。
[[File:a.jpg|thumb|200px|大坝]]
== 总则 ==
{POLICY}
* {_ENGLISH}
{{| class="wikitable"
! 机组 !! 出力
|-
| 1号 || 12
|}}
"""
_TEXTILE = f"""h2(#a). 总则

p{{color:red}}. *必须*佩戴_安全帽_，见"规程":http://a.cn/b.html 。{POLICY}

* {_ENGLISH}

|_. 型号|_. 功率|
|A1|2kW|

bc. x = 1

###. 草稿
"""
_TYPST = f"""#set text(lang: "zh") // 草稿
#let 公司 = [云岭公司]
= 合同 <a>
甲方 #公司，*违约金*见 @a。/* 草稿 */{POLICY}
#figure(table(columns: (1fr, 1fr), [泵], [38]), caption: [价格])
+ 付款#footnote[含税]
#link("https://a.cn")[官网] $x^2$ {_ENGLISH}
"""
_ASCIIDOC = f"""= 泵站规程
张三 <z@x.cn>
:toc:
:icons: font

== 总则

{POLICY}

[NOTE]
====
{_ENGLISH}
====

.门店
[cols="1,1",options="header"]
|===
|门店 |一月
|无锡店 |131
|===

[source,python]
----
print(40 + 2)
----
See link:https://x.cn/log[the log] and <<general>>.
"""
_CALENDAR = f"""BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//x//y//CN
BEGIN:VEVENT
UID:20260309T140000-7f31@x.cn
DTSTAMP:20260301T010000Z
DTSTART;TZID=Asia/Shanghai:20260309T140000
DTEND;TZID=Asia/Shanghai:20260309T153000
SUMMARY:设备检修
DESCRIPTION:{POLICY}
LOCATION:二号楼
ATTENDEE;CN=李四;ROLE=REQ-PARTICIPANT:mailto:l@x.cn
END:VEVENT
BEGIN:VTODO
UID:7f32@x.cn
SUMMARY:Pumps
DESCRIPTION:{_ENGLISH.replace(",", chr(92) + ",").replace(";", chr(92) + ";")}
END:VTODO
END:VCALENDAR
"""
_CONTACTS = """BEGIN:VCARD
VERSION:3.0
N:张;三;;;
FN:张三
ORG:临江水务;设备科
TITLE:科长
TEL;TYPE=WORK,VOICE:0510-8110
EMAIL;TYPE=INTERNET:z@x.cn
ADR;TYPE=WORK:;;人民路7号;无锡;江苏;214000;中国
NOTE:负责二号泵房的检修
END:VCARD
BEGIN:VCARD
VERSION:2.1
N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=E6=9D=8E;=E5=9B=9B
TEL;CELL:13800138000
END:VCARD
"""
