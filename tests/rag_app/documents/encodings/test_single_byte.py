"""Encodings of one byte a character are told apart by the words they make."""

import random

import pytest

from rag_app.documents.encodings.single_byte import best_single_byte

TEXTS = {
    "fr": "Où êtes-vous allés cet été? Le café noir est très bon, « déjà » servi à côté du marché.",
    "de": "Die Prüfung läuft über mehrere Wochen; größere Änderungen müssen schriftlich erfolgen.",
    "es": "Señora, mañana habrá una reunión en el salón número diez. ¿Qué dirá el niño?",
    "pl": "Wniosek należy złożyć do piątku w biurze obsługi mieszkańców.",
    "ru": "Зелёный чай растёт в горах. Дорогие друзья, собрание начнётся в понедельник. НАТО, ООН.",
    "ar": "وأعرب الاتحاد الجزائري وقتها عن أسفه لهذا الموقف غير المقبول والفردي وغير الرياضي",
    "el": "Η συνεδρίαση θα γίνει τη Δευτέρα στις δέκα το πρωί στην αίθουσα του δημαρχείου.",
    "he": "הישיבה תתקיים ביום שני בשעה עשר בבוקר באולם הגדול של העירייה.",
    "th": "การประชุมจะมีขึ้นในวันจันทร์เวลาสิบนาฬิกาที่ห้องประชุมใหญ่ของเทศบาล",
}


@pytest.mark.parametrize(
    ("language", "encoding"),
    [
        ("fr", "cp1252"), ("de", "cp1252"), ("es", "cp1252"), ("pl", "cp1250"), ("fr", "mac_roman"),
        ("ru", "cp1251"), ("ru", "koi8_r"), ("ru", "cp866"), ("ar", "cp1256"), ("ar", "iso8859_6"),
        ("el", "cp1253"), ("he", "cp1255"), ("th", "cp874"),
    ],
)  # fmt: skip
def test_the_encoding_that_makes_words_is_found(language: str, encoding: str) -> None:
    text = TEXTS[language]
    assert text.encode(encoding)
    found = best_single_byte(f"<p>{text}</p> 2024".encode(encoding))
    assert found is not None
    assert found[0] == f"<p>{text}</p> 2024"


@pytest.mark.parametrize("seed", range(20))
def test_bytes_at_random_are_no_words(seed: int) -> None:
    assert best_single_byte(random.Random(seed).randbytes(200)) is None


@pytest.mark.parametrize("text", ["員工每年享有十五天帶薪年假", "직원은 매년 휴가를"])
def test_bytes_of_east_asia_are_no_words(text: str) -> None:
    assert best_single_byte(text.encode()) is None
