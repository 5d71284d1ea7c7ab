import base64

import pytest

from rag_app.documents.formats import ExtractedText
from rag_app.documents.mail.message import read_mail
from rag_app.documents.mail.signature import signed_content

SIGNED, ENVELOPED, DATA = (bytes.fromhex(f"06092a864886f70d0107{at}") for at in ("02", "03", "01"))


def der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return bytes([tag, 0x82]) + len(content).to_bytes(2) + content


def ber(tag: int, *parts: bytes) -> bytes:
    return bytes([tag, 0x80]) + b"".join(parts) + b"\0\0"


def signed(content: bytes) -> bytes:
    holder = der(0x30, DATA, der(0xA0, der(0x04, content)))
    return der(0x30, SIGNED, der(0xA0, der(0x30, b"\x02\x01\x01", b"\x31\x00", holder)))


def read(data: bytes, name: str = "smime.p7m") -> ExtractedText:
    head = f"Subject: s\nMIME-Version: 1.0\nContent-Type: application/pkcs7-mime; name={name}\n"
    mail = f"{head}Content-Transfer-Encoding: base64\n\n".encode() + base64.encodebytes(data)
    return read_mail(mail, "a.eml", lambda data, name: ExtractedText(f"{name}={data.decode()}"))


def test_a_message_within_its_signature_is_read() -> None:
    inner = "Content-Type: text/plain; charset=utf-8\n\n密封圈改用氟橡胶。\n".encode()
    assert read(signed(inner)).text.endswith("密封圈改用氟橡胶。")


def test_signed_data_in_pieces_of_unknown_length() -> None:
    octets = ber(0x24, b"\x04\x01a", b"\x04\x02bc")
    holder = ber(0x30, DATA, ber(0xA0, octets))
    data = ber(0x30, SIGNED, ber(0xA0, ber(0x30, b"\x02\x01\x01", b"\x31\x00", holder)))
    assert signed_content(data) == b"abc"


@pytest.mark.parametrize("data", [b"", b"0\x80" * 2000, signed(b"a")[:-1], der(0x30, ENVELOPED)])
def test_other_data_is_not_signed(data: bytes) -> None:
    assert signed_content(data) is None


def test_an_encrypted_mail_is_said() -> None:
    found = read(der(0x30, ENVELOPED, der(0xA0, bytes(range(200)))))
    assert found.text == "# s"
    assert found.notes == ["the mail is encrypted (S/MIME); save a copy of it without encryption"]


def test_a_file_within_its_signature_is_attached() -> None:
    assert "a.csv=b,c" in read(signed(b"b,c"), "a.csv.p7m").text
    assert read(der(0x30, ENVELOPED), "a.csv.p7m").notes[0].startswith("a.csv is encrypted")


def test_certificates_alone_are_not_called_encrypted() -> None:
    assert read(signed(b""), "a.p7c; smime-type=certs-only").notes == []
