"""Signatures on Release files, checked with given keys and no keyring of the machine; owns pysequoia (RFC 9580).

No program is run and nothing is read but what is given. Which algorithms count is pysequoia's standard policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.errors import CorruptError

if TYPE_CHECKING:
    import pysequoia

_MAX_SIGNATURES = 16


@dataclass(frozen=True, slots=True)
class Keys:
    """Public keys that are trusted for one archive."""

    certificates: tuple[pysequoia.Cert, ...]

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The fingerprints of the primary keys, in lower-case hex digits."""
        return tuple(certificate.fingerprint for certificate in self.certificates)


def read_keys(data: bytes, *, name: str) -> Keys:
    """Read public keys, armored or not; ``name`` is what an error calls them.

    What is no OpenPGP key, or none at all, is a CorruptError.
    """
    import pysequoia  # noqa: PLC0415  # start-up: only what reads an archive pays

    try:
        certificates = tuple(pysequoia.Cert.split_bytes(data))
    except Exception as error:  # the library raises plain errors of several kinds
        raise CorruptError(f"{name} is no OpenPGP public key: {_first_line(error)}") from error
    if not certificates:
        raise CorruptError(f"{name} holds no OpenPGP public key")
    return Keys(certificates)


def joined(keys: Sequence[Keys]) -> Keys:
    """Trust all of these keys."""
    return Keys(tuple(certificate for one in keys for certificate in one.certificates))


def verified_text(signed: bytes, keys: Keys) -> bytes:
    """Give the text of a message that is signed in clear (``InRelease``), and nothing that stands around it.

    The last line ends in a newline, which is no part of what is signed (RFC 9580, 7.2): so it is what a detached
    signature would be of. A message that none of the keys signed is a CorruptError.
    """
    import pysequoia  # noqa: PLC0415  # as above

    try:
        found = pysequoia.verify(signed, store=lambda _: list(keys.certificates)).bytes
    except Exception as error:
        raise _refused(error) from error
    if not found:
        raise CorruptError("it has no signed text")
    return found.rstrip(b"\r\n") + b"\n"


def verify_detached(text: bytes, signature: bytes, keys: Keys) -> None:
    """Check signatures that stand in a file of their own (``Release.gpg``): one that is good is enough.

    None is a CorruptError.
    """
    import pysequoia  # noqa: PLC0415  # as above
    import pysequoia.packet as packets  # noqa: PLC0415  # as above

    last: Exception | None = None
    try:
        found = [bytes(one) for one in packets.PacketPile.from_bytes(signature)][:_MAX_SIGNATURES]
    except Exception as error:
        raise _refused(error) from error
    for one in found:
        try:
            made = pysequoia.Sig.from_bytes(one)
            pysequoia.verify(text, store=lambda _: list(keys.certificates), signature=made)
        except Exception as error:  # noqa: BLE001  # the library raises plain errors; another one may be good
            last = error
        else:
            return
    raise _refused(last or ValueError("it holds none")) from last


def _refused(error: Exception) -> CorruptError:
    reason = _first_line(error)
    if "no valid signatures" in reason:
        return CorruptError("no key that is trusted for it has signed it")
    return CorruptError(f"its signature can't be used: {reason}")


def _first_line(error: Exception) -> str:
    """Leave out the library's own stack."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
