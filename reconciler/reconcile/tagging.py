"""Writing tags where others write too.

Registries have no compare-and-swap, and some make tags immutable: they answer 400, 403 or 409 to the second write, also
of the same content. So a tag that names the content already is not written, and an error on writing one is success
where reading back gives the content.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.errors import ConflictError, CorruptError, DeniedError, NotFoundError, RegistryError, UnavailableError
from reconciler.oci.descriptor import Content
from reconciler.ports import Registry
from reconciler.values.digest import Digest


def names(registry: Registry, name: str, tag: str, content: Content) -> bool:
    """Tell whether a tag names this content and that is there: a tag outlives what it names."""
    try:
        return registry.fetch(name, tag).digest == content.digest
    except (NotFoundError, CorruptError):
        return False


def put_tags(registry: Registry, name: str, content: Content, tags: Sequence[str]) -> None:
    """Let tags name this content, whatever they name now."""
    lacking = [tag for tag in tags if not names(registry, name, tag, content)]
    if not lacking:
        return
    try:
        registry.push(name, content, tags=lacking)
    except RegistryError:
        if not all(names(registry, name, tag, content) for tag in lacking):
            raise


def claim_tags(registry: Registry, name: str, content: Content, tags: Sequence[str]) -> None:
    """Let tags name this content that are written once; a ConflictError where one names something else."""
    for tag in tags:
        found = registry.resolve(name, tag)
        if found not in (None, content.digest):
            raise taken(name, tag, content.digest, found)
    try:
        put_tags(registry, name, content, tags)
    except RegistryError as error:
        for tag in tags:
            found = registry.resolve(name, tag)
            if found not in (None, content.digest):
                raise taken(name, tag, content.digest, found) from error
        raise


def offer_tag(registry: Registry, name: str, content: Content, tag: str) -> None:
    """Let a tag name this content; where the registry keeps what it names, that stays."""
    try:
        put_tags(registry, name, content, (tag,))
    except RegistryError:
        if registry.resolve(name, tag) is None:
            raise
        registry.push(name, content)


def move_tag(registry: Registry, name: str, content: Content, tag: str) -> None:
    """Let a tag that moves name this content; where the registry does not let it move, say which rule is in the way."""
    try:
        registry.push(name, content, tags=(tag,))
    except UnavailableError:
        raise
    except RegistryError as error:
        if names(registry, name, tag, content):
            return
        if registry.resolve(name, tag) is None:
            raise
        raise immovable(registry, name, tag, error) from error


def immovable(registry: Registry, name: str, tag: str, error: RegistryError) -> RegistryError:
    """Say that the registry does not let a tag move, as the error that it answered with."""
    kind = DeniedError if isinstance(error, DeniedError) else RegistryError
    return kind(
        f"{registry.address} does not let the tag `{tag}` of {name} move: {error.message}",
        hint=f"where tags are immutable, exclude `{tag}` from that rule; all others may stay in it",
    )


def read_back(registry: Registry, name: str, tag: str, digest: Digest) -> None:
    """Read what was written: that a write was acknowledged proves nothing. Another's content is a ConflictError."""
    found = registry.fetch(name, tag).digest
    if found != digest:
        raise taken(name, tag, digest, found)


def taken(name: str, tag: str, digest: Digest, found: Digest | None) -> ConflictError:
    """Say that another writer has a tag."""
    return ConflictError(
        f"{name}:{tag} names {found}, not {digest} that was to be written",
        hint="another writer was at work; run apply again",
    )
