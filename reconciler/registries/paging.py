"""Lists that come in pages (distribution-spec 1.1, "Listing Tags"): the next one is where a Link header says."""

from __future__ import annotations

import json
import re

from reconciler.clients.registry.answers import refuse
from reconciler.clients.registry.session import Session
from reconciler.errors import CorruptError, RegistryError

MAX_PAGES = 1000
MAX_PAGE = 16 << 20
MAX_BYTES = 64 << 20
"""Bytes of all pages together."""
_MAX_LINK = 4096
_OK, _NOT_FOUND = 200, 404
_NEXT = re.compile(r"<([^<>]*)>\s*;(?:[^,]*;)?\s*rel=\"?next\"?", re.IGNORECASE)


def pages(session: Session, what: str, path: str, scopes: frozenset[str], field: str) -> tuple[str, ...] | None:
    """Read every page of a list of texts; none where the registry has no such list.

    Errors as :meth:`Session.ask`; a list without end, or that leads elsewhere, is a CorruptError.
    """
    found: list[str] = []
    seen: set[str] = set()
    size = 0
    target: str | None = session.resolve(f"{path}?n=1000")
    while target is not None:
        if target in seen or len(seen) >= MAX_PAGES or size > MAX_BYTES:
            raise CorruptError(f"{what}: the list has no end", hint=f"tell who runs {session.host}")
        seen.add(target)
        answer = session.ask(what, "GET", target, scopes=scopes, limit=MAX_PAGE)
        if answer.is_missing:
            return None
        if answer.is_unsupported:
            raise RegistryError(f"{what}: {session.host} has no such list")
        if answer.status != _OK:
            refuse(session.host, what, answer)
        size += len(answer.body)
        found.extend(_texts(what, answer.body, field))
        target = _next(session, what, target, answer.headers.get("Link", ""))
    return tuple(found)


def _texts(what: str, body: bytes, field: str) -> list[str]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise CorruptError(f"{what}: the list is no JSON") from error
    texts = value.get(field) if isinstance(value, dict) else None
    if texts is None and isinstance(value, dict) and field in value:
        return []  # a repository without tags, in some registries
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise CorruptError(f"{what}: the answer is no list of {field}")
    return texts


def _next(session: Session, what: str, target: str, link: str) -> str | None:
    if len(link) > _MAX_LINK:  # a pattern is no match for it
        raise CorruptError(f"{what}: the address of the next page is too long")
    match = _NEXT.search(link)
    if match is None:
        return None
    following = session.resolve_from(target, match.group(1))
    if following is None:
        raise CorruptError(f"{what}: the next page is somewhere else")
    return following
