"""What a registry over HTTP can do, found out by asking, and what follows where it can't."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.clients.registry.answers import Answer
from reconciler.errors import DeniedError, RegistryError, UnavailableError
from reconciler.ports import Feature
from reconciler.registries.transfer import Upload
from reconciler.values.digest import Digest

NOWHERE = Digest.of(b"what is asked to be deleted and is not there")


def can_push(upload: Upload) -> Feature:
    """Begin an upload and give it up; an UnavailableError where nothing answers."""
    try:
        upload.give_up(upload.start())
    except UnavailableError:
        raise
    except RegistryError as error:
        return Feature(name="push", supported=False, detail=error.message, hint=error.hint or "")
    return Feature(name="push", supported=True)


def can_list_tags(list_tags: Callable[[], object]) -> Feature:
    """List them."""
    try:
        list_tags()
    except DeniedError as error:
        return Feature(name="list tags", supported=None, detail=error.message, hint=error.hint or "")
    except RegistryError as error:
        hint = "without it neither history nor a record whose `current` is lost can be found"
        return Feature(name="list tags", supported=False, detail=error.message, hint=hint)
    return Feature(name="list tags", supported=True)


def can_list_repositories(list_repositories: Callable[[], tuple[str, ...] | None]) -> Feature:
    """List them; not needed, since names are known from the state that apply keeps."""
    supported = list_repositories() is not None
    detail = "" if supported else "names are known from the state that apply keeps"
    return Feature(name="list repositories", supported=supported, detail=detail)


def can_delete(answer: Answer) -> Feature:
    """Judge the answer to a delete of what is not there."""
    if answer.is_unsupported:
        return Feature(name="delete", supported=False, detail="old versions stay until its administrator deletes them")
    return Feature(name="delete", supported=True if answer.is_missing else None, detail=answer.text)
