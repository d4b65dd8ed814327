"""What a registry says where it does not do as asked (distribution-spec 1.1, "Error Codes").

"Not there", "not allowed" and "not answering" are different errors. A 404 counts as "not there" only where it is of the
registry's own kind: a proxy that knows nothing of the registry says 404 too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from reconciler.errors import CorruptError, DeniedError, NotFoundError, RegistryError, TryLaterError, UnavailableError

_NEVER_LATER = frozenset({501, 505})
MAX_ERROR = 1 << 16
_MAX_TEXT = 200
_MAX_DIGITS = 18
_MISSING = frozenset({"NAME_UNKNOWN", "MANIFEST_UNKNOWN", "BLOB_UNKNOWN", "TAG_UNKNOWN", "NOT_FOUND"})
_DANGLING = frozenset({"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"})
_UPLOAD_LOST = frozenset({"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "DIGEST_INVALID", "RANGE_INVALID"})
_API_VERSION = "docker-distribution-api-version"
_BAD, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _NOT_ALLOWED = 400, 401, 403, 404, 405
_TIMEOUT, _RANGE, _EARLY, _TOO_MANY = 408, 416, 425, 429
_SERVER = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An answer, read to its end: its status, its headers, at most a document's worth of bytes.

    ``again``: it is not the answer to the first try, and one before may have done what was asked.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    again: bool = False

    @property
    def is_later(self) -> bool:
        """Tell whether the next try may do."""
        status = self.status
        return status in (_TIMEOUT, _EARLY, _TOO_MANY) or (status >= _SERVER and status not in _NEVER_LATER)

    @property
    def codes(self) -> frozenset[str]:
        """The registry's own error codes in it; empty where it is no error of a registry."""
        return frozenset(code for code, _ in self._errors())

    @property
    def text(self) -> str:
        """What it says went wrong, in one short line."""
        said = "; ".join(dict.fromkeys(": ".join(part for part in pair if part) for pair in self._errors()))
        return " ".join(said.split())[:_MAX_TEXT]

    @property
    def is_missing(self) -> bool:
        """Tell whether it is a registry's own "not there"; one without a body (HEAD) has to look like a registry's."""
        if self.status != _NOT_FOUND:
            return False
        return bool(self.codes & _MISSING)

    @property
    def looks_missing(self) -> bool:
        """Tell whether an answer to HEAD, which has no body, is one that only a registry gives."""
        headers = {name.lower() for name in self.headers}
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return self.status == _NOT_FOUND and _API_VERSION in headers and kind == "application/json"

    @property
    def lost_upload(self) -> bool:
        """Tell whether an upload's session is gone, or holds what was sent before: then another one may do."""
        if self.status not in (_BAD, _NOT_FOUND, _RANGE):
            return False
        return bool(self.codes & _UPLOAD_LOST) or (self.status != _BAD and not self.codes)

    @property
    def is_dangling(self) -> bool:
        """Tell whether a manifest was refused because it names what is not there."""
        return bool(self.codes & _DANGLING)

    @property
    def is_unsupported(self) -> bool:
        """Tell whether the registry says that it does not do this at all."""
        return self.status == _NOT_ALLOWED or "UNSUPPORTED" in self.codes

    def _errors(self) -> list[tuple[str, str]]:
        try:
            found = json.loads(self.body) if self.body[:1] == b"{" else None
        except (ValueError, RecursionError):
            return []
        errors = found.get("errors") if isinstance(found, dict) else None
        if not isinstance(errors, list):
            return []
        pairs = [(one.get("code"), one.get("message")) for one in errors if isinstance(one, dict)]
        return [(code, message if isinstance(message, str) else "") for code, message in pairs if isinstance(code, str)]


def refuse(host: str, what: str, answer: Answer) -> NoReturn:
    """Raise the error that an answer is; ``what`` says what was asked."""
    said = f"{what}: {host} answers {answer.status}" + (f", {answer.text}" if answer.text else "")
    if answer.status in (_UNAUTHORIZED, _FORBIDDEN):
        raise DeniedError(said, hint=f"check the rights of the account; `docker login {host}` renews its credentials")
    if answer.is_missing:
        raise NotFoundError(f"{what}: {host} has none")
    if answer.status == _NOT_FOUND:
        raise UnavailableError(f"{said}, but not as a registry does", hint="check the address, and any proxy before it")
    if answer.status == _TOO_MANY:
        raise TryLaterError(said, hint="try again later")
    if answer.status >= _SERVER or answer.is_later:
        raise UnavailableError(said, hint="try again later")
    raise RegistryError(said)


def length_of(text: str | None) -> int | None:
    """Read Content-Length (RFC 9110, 8.6); none where it says no number that makes sense."""
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS else None


def refuse_size(host: str, what: str, limit: int) -> NoReturn:
    """Raise that an answer is larger than it may be."""
    raise CorruptError(f"{what}: {host} sends more than {limit} bytes")
