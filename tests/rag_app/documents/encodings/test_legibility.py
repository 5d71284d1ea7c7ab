import pytest

from rag_app.documents.encodings.legibility import gibberish


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("!\"#$%&'()*+,-./", True),
        ("\ue001\ue002\ue003\ue004abc", True),
        ("Buyer˖哾㦓㓱䎦䎧䎨䎩䎪䎫䎬", True),
        ("Q s N Ž O › l 4 v „ ‰ Ä [ š", True),
        ("TX]åkÏ^tN«gSAN”Y)^&…ª^tPGÿ]åO\\náN\ufffd^tT_\ufffdYË‹¡{—0‐‹÷PG˜{cÐRM", True),
        ("Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm", False),
        ("Příliš žluťoučký kůň úpěl ďábelské ódy", False),
        ("“Où est-il né ?” — « À Orléans, l’été »", False),
        ("á 8,50 €, 2 × 30 °C ± 0,5 · ½ l", False),
        ("李白（701年—762年），字太白", False),
        ("臺北市立圖書館宣布延長開放時間", False),
        ("E = mc^2; F = m*a (1)", False),
        ("1,234.50 -12.0% 88/100", False),
        ("...... 12", False),
        ("~#_×SwN 0\ufffdjKh•'7N~4(‡ gq•€wójK^úe¼N~–†SANŒ^tu1wå", True),
        ("目录 第一章 总则........................................ 1 2" * 3, False),
        ("=" * 60 + " es " + "-" * 60, False),
        ("A3 × 4 und A4 Extra, 12,50 €/m², Größe “XL”", False),
        ("GRÖSSE: 12,50€ • ÄNDERUNG 3° • Übergröße", False),
    ],
)
def test_codes_are_told_from_writing(text: str, codes: bool) -> None:
    assert gibberish("".join(text.split())) is codes


def test_short_lines_with_bullets_are_no_codes() -> None:
    assert not gibberish("对比•左一•左二•左三•右一•右二•右三")
