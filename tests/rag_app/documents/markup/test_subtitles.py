"""Subtitles: what is said, in sentences, under the time at which it is said."""

from pathlib import Path

import pytest

from rag_app.documents.loaders import FileLoader
from rag_app.documents.markup.subtitles import subtitles_markdown


def test_cues_of_one_sentence_are_a_line() -> None:
    text = (
        "WEBVTT\n\nNOTE draft\n\nSTYLE\n::cue { color: red }\n\n"
        "intro\n00:01.000 --> 00:03.000 line:0\n"
        "<v Ann>The pump must be\nserviced &amp; cleaned\n\n"
        "00:03.000 --> 00:05.000\n<c.b>every six months.</c>\n\n"
        "00:20.000 --> 00:21.000\nThen start it.\n"
    )
    assert subtitles_markdown(text) == (
        "## 00:00:01\n\nAnn: The pump must be serviced & cleaned every six months.\nThen start it."
    )


def test_what_has_no_punctuation_stays_a_cue_a_line_and_languages_apart() -> None:
    cues = "".join(
        f"{at}\n00:00:{at:02},000 --> 00:00:{at + 1:02},000\n{{\\an8}}额定转速{at}\nSpeed {at}\n\n"
        for at in (1, 2)
    )
    lines = ["额定转速1", "Speed 1", "额定转速2", "Speed 2"]
    assert subtitles_markdown(cues).split("\n")[2:] == lines


def test_a_sentence_names_its_speaker_once_and_other_speakers_begin_a_line() -> None:
    said = ["<v 张三>水泵每年", "<v 张三>检修一次。", "李四: 由谁", "张三: 由班组", "# 负责。"]
    cues = [f"00:0{at}.000 --> 00:0{at + 1}.000\n{line}\n" for at, line in enumerate(said)]
    assert subtitles_markdown("\n".join(["WEBVTT\n", *cues])).split("\n")[2:] == [
        "张三: 水泵每年检修一次。",
        "李四: 由谁",
        "张三: 由班组负责。",
    ]


def test_captions_that_roll_up_say_each_line_once() -> None:
    text = (
        "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n先断电\n\n00:00:02.000 --> 00:00:03.000\n先断电\n"
        "再挂牌\n\n00:00:03.000 --> 00:00:04.000\n再挂牌\n最后上锁\n"
    )
    assert subtitles_markdown(text) == "## 00:00:01\n\n先断电\n再挂牌\n最后上锁"


def test_a_long_film_has_a_time_in_each_part() -> None:
    cues = "".join(
        f"{n}\n00:{n:02}:00,000 --> 00:{n:02}:05,000\n{'第' * 47}{n:02}。\n\n" for n in range(20)
    )
    times = [line for line in subtitles_markdown(cues).split("\n") if line.startswith("#")]
    assert times == ["## 00:00:00", "## 00:08:00", "## 00:16:00"]


def test_what_holds_no_cue_is_read_as_it_is() -> None:
    assert subtitles_markdown("会议纪要\n先断电。") == "会议纪要\n先断电。"


def test_only_dialogue_of_ass_is_said_and_lyrics_stand_in_their_order() -> None:
    ass = (
        "[Script Info]\nTitle: x\n[Fonts]\nfontname: a.ttf\n9WRB<3ZP\n[Events]\n"
        "Comment: 0,0:00:00.00,0:00:05.00,Default,,0,0,0,,草稿\n"
        "Dialogue: 0,0:00:01.00,0:00:03.00,Default,,0,0,0,,{\\b1}开机{\\b0}，\\N预热\n"
        "Dialogue: 0,0:00:01.00,0:00:03.00,Default,,0,0,0,,{\\p1}m 0 0 l 100 0{\\p0}\n"
    )
    assert subtitles_markdown(ass) == "## 00:00:01\n\n开机，预热"
    lyrics = "[ti:规程]\n[by:某人]\n[00:12.34][01:10.00]开阀\n[00:15.00]开电源"
    assert subtitles_markdown(lyrics) == "规程\n\n## 00:00:12\n\n开阀\n开电源\n开阀"


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16", "utf-8"])
def test_files_of_subtitles_are_read_in_their_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "课程.srt"
    path.write_bytes(
        "1\n00:00:01,000 --> 00:00:03,000\n额定转速是每分钟两千九百转。\n".encode(encoding)
    )
    (document,) = FileLoader(path).load()
    assert document.page_content == "## 00:00:01\n\n额定转速是每分钟两千九百转。"
    assert document.metadata["loader"] == "subtitles"
