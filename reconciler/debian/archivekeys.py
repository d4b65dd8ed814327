"""The archive keys that are shipped in ``keys/``: by distribution, the file and the fingerprint of its primary key.

They are those of the distributions' own keyring packages, without others' signatures on them. A file whose fingerprint
is another is not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True, slots=True)
class ArchiveKey:
    """A file of ``keys/`` and its fingerprint, in lower-case hex digits."""

    file: str
    fingerprint: str


def _keys(distribution: str, **fingerprints: str) -> tuple[ArchiveKey, ...]:
    return tuple(
        ArchiveKey(file=f"{distribution}-{name.replace('_', '-')}.asc", fingerprint=fingerprint)
        for name, fingerprint in fingerprints.items()
    )


ARCHIVE_KEYS: Mapping[str, tuple[ArchiveKey, ...]] = MappingProxyType(
    {
        "debian": _keys(
            "debian",
            bullseye="1f89983e0081fde018f3cc9673a4f27b8dd47936",
            bullseye_security="ac530d520f2f3269f5e98313a48449044aad5c5d",
            bullseye_stable="a4285295fc7b1a81600062a9605c66f00d6c9793",
            bookworm="b8b80b5b623eab6ad8775c45b7c5d7d6350947f8",
            bookworm_security="05ab90340c0c5e797f44a8c8254cf3b5aec0a8f0",
            bookworm_stable="4d64fec119c2029067d6e791f8d2585b8783d481",
            trixie="04b54c3cdca79751b16bc6b5225629df75b188bd",
            trixie_security="5e04a1e3223a19a20706e20f9904613d4cce68c6",
            trixie_stable="41587f7db8c774bccf131416762f67a0b2c39de4",
        ),
        "ubuntu": _keys("ubuntu", **{"2018": "f6ecb3762474eda9d21b7022871920d1991bc93c"}),
    }
)
