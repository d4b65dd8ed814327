"""Where a path of an image really is: what is written through a folder's link goes where the link leads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from reconciler.oci.member import Member

PREFIX = "opt/venv"
"""The virtual environment, relative to the root **[format]**."""


def place_of(path: str, links: Mapping[str, str]) -> str:
    """Follow the links of the base in every folder above ``path``, and in ``path`` itself where it is one of them.

    ``links`` are resolved (:class:`reconciler.lock.model.Base`), so that no link leads to another. A layer that had a
    folder in place of a link would hide all that is behind it.
    """
    parts = path.split("/")
    for depth in range(len(parts), 0, -1):
        target = links.get("/".join(parts[:depth]))
        if target is not None:
            return "/".join([target, *parts[depth:]])
    return path


def relocate(members: Iterable[Member], links: Mapping[str, str]) -> Iterator[Member]:
    """Put every member where it really is."""
    for member in members:
        place = place_of(member.path, links)
        yield member if place == member.path else replace(member, path=place)
