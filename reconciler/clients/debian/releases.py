"""The Release file of a suite, signed: ``InRelease``, else ``Release`` with ``Release.gpg``."""

from __future__ import annotations

from reconciler.clients.debian.mirror import Mirror
from reconciler.clients.openpgp import Keys, verified_text, verify_detached
from reconciler.debian.release import Release, parse_release
from reconciler.errors import CorruptError, NotFoundError


def _unsigned(mirror: Mirror, folder: str) -> bytes:
    try:
        return mirror.read(f"{folder}/Release")
    except NotFoundError as error:
        raise NotFoundError(
            f"{mirror.name} has no {folder}", hint="check the address: it has to be that of the folder above"
        ) from error


def read_release(mirror: Mirror, folder: str, keys: Keys, *, hint: str) -> Release:
    """Read it; what no trusted key has signed is a CorruptError with the ``hint``, and none at all a NotFoundError."""
    path = f"{folder}/InRelease"
    try:
        try:
            signed = mirror.read(path)
        except NotFoundError:
            path = f"{folder}/Release"
            text = _unsigned(mirror, folder)
            verify_detached(text, mirror.read(f"{path}.gpg"), keys)
        else:
            text = verified_text(signed, keys)
        return parse_release(text)
    except CorruptError as error:
        raise CorruptError(
            f"{mirror.name}: {path}: {error.message}",
            hint=error.hint or hint,
        ) from error
