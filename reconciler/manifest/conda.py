"""Conda's environment files and match specifications, as far as a manifest can say the same."""

from __future__ import annotations

import re
from dataclasses import dataclass

from reconciler.manifest.problem import Problem
from reconciler.values.location import Location

_NAME = re.compile(r"[a-z0-9_][a-z0-9_.+-]*", re.ASCII)
_CHANNEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*", re.ASCII)
_OPERATOR = re.compile(r"\s*(===|==|>=|<=|!=|~=|[=<>,|])\s*")
_END_OF_NAME = re.compile(r"[\s=<>!~\[]")
CHANNEL_HINT = "name the channel by alias; its address is bound in reconciler.yaml"


@dataclass(frozen=True, kw_only=True, slots=True)
class CondaFile:
    """What an environment file says: channels in order, match specifications, pip's lines with their places."""

    channels: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    pip: tuple[tuple[str, Location], ...] = ()
    problems: tuple[Problem, ...] = ()


def parse_match(text: str) -> str:
    """Give a match specification in one spelling **[format]**: name in lower case, blanks only where they part.

    A blank that stands before a version or a build string without an operator stays, as it has a meaning
    (``numpy 1.8`` is exact, ``numpy=1.8`` is not). What is none is a ValueError.
    """
    if not text.isprintable() and not text.replace("\t", " ").isprintable():
        raise ValueError("a match specification holds a character that can't be seen")
    if "://" in text or text.startswith((".", "/", "~", "@")):
        raise ValueError("a conda package can't be named by address or path; write NAME or CHANNEL::NAME")
    if "$" in text or "%" in text:
        raise ValueError("environment variables are not expanded in a match specification")
    channel, separator, spec = text.strip().rpartition("::")
    spec = " ".join(_OPERATOR.sub(r"\1", spec).split())
    end = _END_OF_NAME.search(spec)
    name = (spec[: end.start()] if end else spec).lower()
    if _NAME.fullmatch(name) is None or (separator and _CHANNEL.fullmatch(channel.strip()) is None):
        raise ValueError(f"not a match specification: {ascii(text)[:120]}")
    return f"{channel.strip()}{separator}{name}{spec[len(name) :]}"


def parse_conda_file(data: bytes, path: str) -> CondaFile:
    """Read an environment file; every fault is among the problems, with its line."""
    del data
    return CondaFile(problems=(Problem(Location(path), "conda environment files can't be read yet"),))
