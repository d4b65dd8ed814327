"""Certificates of authorities: the bundle, the names that OpenSSL looks them up by, and Java's key store.

X.690 (DER) is read as far as the subject's name needs it.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha1

_PEM = re.compile(
    rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----\s*([A-Za-z0-9+/=\s]+?)-----END (?:TRUSTED )?CERTIFICATE-----"
)
_SEQUENCE, _SET, _VERSION = 0x30, 0x31, 0xA0
_LONG_FORM = 0x80
_TEXTS = {12: "utf-8", 19: "ascii", 20: "latin-1", 22: "ascii", 26: "ascii", 28: "utf-32-be", 30: "utf-16-be"}
"""Types of text that are compared by what they say, and how each is coded."""
_UTF8 = 12
_BEFORE_SUBJECT = 4  # serial number, algorithm, issuer, validity
_JKS_MAGIC, _JKS_VERSION, _TRUSTED = 0xFEEDFEED, 2, 2
_JKS_SALT = b"Mighty Aphrodite"
_JKS_PASSWORD = "changeit"  # noqa: S105  # what every Java has


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """One authority: ``name`` is its file's without the ending, ``source`` where that is, ``der`` the certificate."""

    name: str
    source: str
    pem: bytes
    der: bytes


def parse_certificate(source: str, pem: bytes) -> Certificate | None:
    """Read a file in PEM form; none where it holds anything but one certificate."""
    found = _PEM.findall(pem)
    try:
        der = base64.b64decode(b"".join(found[0].split()), validate=True) if len(found) == 1 else b""
        subject_hash(der)
    except (binascii.Error, IndexError, ValueError, UnicodeError):
        return None
    stem = source.rpartition("/")[2].removesuffix(".crt")
    name = stem.replace(" ", "_").replace("(", "=").replace(")", "=").replace(",", "_")
    return Certificate(name=name, source=source, pem=pem, der=der)


def bundle_of(certificates: Sequence[Certificate]) -> bytes:
    """Give all certificates in one file, in their order."""
    return b"".join(one.pem if one.pem.endswith(b"\n") else one.pem + b"\n" for one in certificates)


def hashed_names(certificates: Sequence[Certificate]) -> dict[str, str]:
    """Give the names that OpenSSL looks for (``3513523f.0``), each with the name of its certificate.

    Subjects of one hash are counted, in the order of their names; the same certificate stands once.
    """
    found: dict[str, str] = {}
    seen: set[bytes] = set()
    counts: dict[str, int] = {}
    for one in sorted(certificates, key=lambda one: one.name):
        if one.der in seen:
            continue
        seen.add(one.der)
        digest = subject_hash(one.der)
        found[f"{digest}.{counts.get(digest, 0)}"] = one.name
        counts[digest] = counts.get(digest, 0) + 1
    return found


def subject_hash(der: bytes) -> str:
    """Give OpenSSL's hash of a certificate's subject (X509_NAME_hash): 8 digits. Damage is a ValueError."""
    fields = [*_items(_body(_body(der)))]
    if fields and fields[0][0] == _VERSION:
        fields = fields[1:]
    subject = fields[_BEFORE_SUBJECT][1]
    canonical = b"".join(_coded(_SET, _canonical_set(body)) for _, body in _items(subject))
    return f"{struct.unpack('<I', sha1(canonical, usedforsecurity=False).digest()[:4])[0]:08x}"


def _canonical_set(body: bytes) -> bytes:
    attributes = [
        _coded(_SEQUENCE, b"".join(_canonical(tag, value) for tag, value in _items(pair))) for _, pair in _items(body)
    ]
    return b"".join(sorted(attributes))


def _canonical(tag: int, value: bytes) -> bytes:
    """Write text in UTF-8, in small letters, with single spaces between words; leave what is no text."""
    if tag not in _TEXTS:
        return _coded(tag, value)
    text = " ".join(value.decode(_TEXTS[tag]).split())
    return _coded(_UTF8, "".join(letter.lower() if letter.isascii() else letter for letter in text).encode())


def _body(der: bytes) -> bytes:
    for _, body in _items(der):
        return body
    raise ValueError("a certificate is empty")


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Give the values that stand one after another, by their tags."""
    place = 0
    while place < len(data):
        tag, length, place = data[place], data[place + 1], place + 2
        if length >= _LONG_FORM:
            count = length - _LONG_FORM
            length, place = int.from_bytes(data[place : place + count]), place + count
        if place + length > len(data):
            raise ValueError("a certificate ends early")
        yield tag, data[place : place + length]
        place += length


def _coded(tag: int, body: bytes) -> bytes:
    if len(body) < _LONG_FORM:
        return bytes((tag, len(body))) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8)
    return bytes((tag, _LONG_FORM + len(length))) + length + body


def key_store(certificates: Sequence[Certificate]) -> bytes:
    """Write certificates as Java's own form of a key store (JKS, version 2), all of the same time: 0.

    Its check value is of the password that every Java has for what is public.
    """
    data = struct.pack(">III", _JKS_MAGIC, _JKS_VERSION, len(certificates))
    for one in sorted(certificates, key=lambda one: one.name):
        data += struct.pack(">I", _TRUSTED) + _text(f"debian:{one.name.lower()}.pem") + bytes(8)
        data += _text("X.509") + struct.pack(">I", len(one.der)) + one.der
    check = sha1(_JKS_PASSWORD.encode("utf-16-be") + _JKS_SALT + data, usedforsecurity=False)
    return data + check.digest()


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">H", len(data)) + data
