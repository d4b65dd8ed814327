"""Signatures, and who made them."""

from __future__ import annotations

from functools import cache

import pytest
from pysequoia.packet import PacketPile

from reconciler.clients.debian.keys import archive_keys
from reconciler.clients.openpgp import Keys, read_keys, verified_text, verify_detached
from reconciler.debian.archivekeys import ARCHIVE_KEYS
from reconciler.errors import CorruptError
from tests.signed_archive import public, sign, sign_detached, trusting

TEXT = b"Origin: Somebody\n- with a dash\nSuite: stable\n"


@cache
def signed() -> bytes:
    return sign(TEXT)


def test_what_a_trusted_key_signed_is_given_as_it_was() -> None:
    assert verified_text(signed(), trusting("other", "archive")) == TEXT


def test_what_stands_around_the_signed_text_is_left_out() -> None:
    assert verified_text(b"Suite: evil\n\n" + signed(), trusting("archive")) == TEXT


@pytest.mark.parametrize("keys", [trusting("other"), Keys(())])
def test_a_key_that_is_not_trusted_counts_for_nothing(keys: Keys) -> None:
    with pytest.raises(CorruptError, match="no key that is trusted for it has signed it"):
        verified_text(signed(), keys)


@pytest.mark.parametrize(
    "wrong",
    [
        signed().replace(b"stable", b"sta8le"),
        signed()[:-60],
        signed()[: len(signed()) // 2],
        TEXT,
        b"",
        b"\x00" * 100,
        signed().replace(b"-----BEGIN PGP SIGNATURE", b"-----BEGIN PGP NOTHING"),
    ],
)
def test_what_is_not_what_was_signed_is_refused_in_one_line(wrong: bytes) -> None:
    with pytest.raises(CorruptError) as refused:
        verified_text(wrong, trusting("archive"))
    assert "\n" not in str(refused.value)


def test_a_signature_may_stand_in_a_file_of_its_own() -> None:
    verify_detached(TEXT, sign_detached(TEXT), trusting("archive"))


def test_of_several_signatures_one_by_a_trusted_key_is_enough() -> None:
    both = [bytes(one) for key in ("other", "archive") for one in PacketPile.from_bytes(sign_detached(TEXT, key))]
    verify_detached(TEXT, b"".join(both), trusting("archive"))
    with pytest.raises(CorruptError, match="no key that is trusted"):
        verify_detached(TEXT, b"".join(both), trusting("third"))


@pytest.mark.parametrize(
    ("text", "signature", "key"),
    [
        (TEXT + b"x", sign_detached(TEXT), "archive"),
        (TEXT, sign_detached(TEXT), "other"),
        (TEXT, b"nothing of the kind", "archive"),
        (TEXT, b"", "archive"),
    ],
)
def test_a_signature_of_something_else_or_of_somebody_else_is_refused(text: bytes, signature: bytes, key: str) -> None:
    with pytest.raises(CorruptError):
        verify_detached(text, signature, trusting(key))


def test_several_keys_may_stand_in_one_file() -> None:
    both = read_keys(public() + public("other"), name="keys.asc")
    assert both.fingerprints == trusting("archive", "other").fingerprints


@pytest.mark.parametrize("data", [b"", b"no key", public()[:200]])
def test_what_is_no_key_is_refused_by_its_name(data: bytes) -> None:
    with pytest.raises(CorruptError, match=r"^keys\.asc "):
        read_keys(data, name="keys.asc")


@pytest.mark.parametrize("distribution", ARCHIVE_KEYS)
def test_the_keys_that_are_shipped_are_those_of_the_table(distribution: str) -> None:
    wanted = tuple(key.fingerprint for key in ARCHIVE_KEYS[distribution])
    assert archive_keys(distribution).fingerprints == wanted
    assert wanted
