import json
from pathlib import Path

import pytest

from rag_app.documents.formats import ExtractedText
from rag_app.documents.loaders import FileLoader
from rag_app.documents.markup.outlines import Topic, outline_markdown
from rag_app.documents.markup.xmind import read_xmind
from rag_app.documents.structure import Structure
from rag_app.documents.web.xml_text import read_xml
from rag_app.errors import DocumentError
from tests.rag_app.documents.making import zipped

PLANT = "# 水厂\n\n- 水泵\n  两台\n  每年检修\n  - 型号 A\n- 阀门"


def xmind(**parts: str) -> ExtractedText:
    return read_xmind(zipped({f"content.{kind}": text for kind, text in parts.items()}), "a.xmind")


def test_maps_of_both_versions_of_xmind_are_outlines_without_ids() -> None:
    pump = {"id": "b58888b5", "title": "水泵", "notes": {"plain": {"content": "两台\n每年检修"}}}
    pump["children"] = {"attached": [{"title": "型号\nA"}]}
    top = {"title": "水厂", "children": {"attached": [pump], "detached": [{"title": "阀门"}]}}
    sheet = {"id": "1", "title": "画布 1", "rootTopic": top}
    new = xmind(json=json.dumps([sheet]), xml="<xmap-content>请用新版打开</xmap-content>")
    assert new.text == PLANT
    old = xmind(
        xml="""<xmap-content xmlns="urn:x"><sheet id="1"><topic><title>水厂</title><children>
        <topics><topic id="b58888b5"><title>水泵</title><notes><plain>两台\n每年检修</plain></notes>
        <children><topics><topic><title>型号\nA</title></topic></topics></children></topic><topic>
        <title>阀门</title></topic></topics></children></topic><title>画布 1</title></sheet>
        </xmap-content>"""
    )
    assert old.text == PLANT


def test_several_sheets_stand_under_their_names() -> None:
    sheets = [{"title": name, "rootTopic": {"title": "图"}} for name in ("登录", "支付")]
    assert xmind(json=json.dumps(sheets)).text == "# 登录\n\n- 图\n\n# 支付\n\n- 图"


def test_a_map_with_a_password_is_refused_and_one_is_told_by_its_suffix() -> None:
    parts = {"content.json": "\x01", "manifest.json": '{"content.json": {"encryption-data": {}}}'}
    with pytest.raises(DocumentError, match="needs a password"):
        read_xmind(zipped(parts), "a.xmind")
    Path("a.xmind").write_bytes(
        zipped({"content.json": '[{"rootTopic": {"title": "水厂"}}]', "a.md": "甲"})
    )
    (document,) = FileLoader("a.xmind").load()
    assert (document.page_content, document.metadata["loader"]) == ("# 水厂", "xmind")


def test_passages_of_long_maps_have_the_path_of_their_topics() -> None:
    steps = [Topic(f"步骤 {at}", [], [Topic("拧紧螺栓" * 20, [], [])]) for at in range(9)]
    text = outline_markdown(Topic("手册", [], [Topic("安装", [], steps), Topic("维护", [], [])]))
    place = text.index("拧紧", text.index("步骤 8"))
    assert Structure(text).path(place) == ["手册", "安装", "步骤 8"]


def test_outlines_of_freemind_and_opml() -> None:
    opml = """<opml><head><title>供水</title></head><body><outline text="&lt;b&gt;一期&lt;/b&gt;"
    _note="2024 年" _mubu_text="%3Cspan%3E"><outline text="水厂" title="水厂"/></outline></body>
    </opml>"""
    assert read_xml(opml.encode(), "a.opml").text == "# 供水\n\n- 一期\n  2024 年\n  - 水厂"
    freemind = """<map version="1"><node TEXT="厂" ID="n1"><hook NAME="MapStyle"><map_styles>
    <stylenode LOCALIZED_TEXT="default"/></map_styles></hook><node ID="n2"><richcontent TYPE="NODE">
    <html><body><p>水<b>泵</b></p></body></html></richcontent><richcontent TYPE="NOTE"><html><body>
    <p>两台</p></body></html></richcontent><attribute NAME="型号" VALUE="A"/></node></node></map>"""
    assert read_xml(freemind.encode(), "a.mm").text == "# 厂\n\n- 水**泵**\n  型号: A\n  两台"
    assert read_xml("<map><tile>甲</tile></map>".encode(), "a.xml").text == "tile: 甲"
