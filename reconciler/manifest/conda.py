"""Conda's environment files and match specifications, as far as a manifest can say the same."""

from __future__ import annotations

import re
from dataclasses import dataclass

from reconciler.errors import ManifestError
from reconciler.manifest.node import Mapping, Node, Place, Scalar, Sequence
from reconciler.manifest.problem import Problem
from reconciler.manifest.requirements import split_lines
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
    """Read an environment file; every fault is among the problems, with its line.

    Its own ``name`` and ``prefix`` say where conda would put it and are passed over. Comments that select a platform
    (``# [linux]``) are comments here, as they are for conda in these files.
    """
    from reconciler.manifest.document import parse_document  # noqa: PLC0415  # heavy, and few have such a file

    try:
        document = parse_document(data, path)
    except ManifestError as error:
        found = tuple(item for item in error.problems if isinstance(item, Problem))
        return CondaFile(problems=found or (Problem(Location(path), error.message),))
    reading = _Reading(path, list(document.problems))
    if not isinstance(document.root, Mapping):
        reading.refuse(Place(1, 1), "not a conda environment: it is no mapping", "write channels: and dependencies:")
    else:
        reading.take(document.root)
    return CondaFile(
        channels=tuple(dict.fromkeys(reading.channels)),
        dependencies=tuple(reading.dependencies),
        pip=tuple(reading.pip),
        problems=tuple(reading.problems),
    )


_PASSED_OVER = frozenset(["name", "prefix"])
_KEYS_REFUSED = {
    "variables": ("variables of a conda file are not taken", "write them under environment_variables in the manifest"),
    "platforms": ("platforms of a conda file are not taken", "write them under platforms in the manifest"),
    "category": ("categories are not used", "put the dependencies into one file"),
}


class _Reading:
    """Takes a file's nodes apart."""

    def __init__(self, path: str, problems: list[Problem]) -> None:
        self.problems = problems
        self.channels: list[str] = []
        self.dependencies: list[str] = []
        self.pip: list[tuple[str, Location]] = []
        self._path = path

    def refuse(self, place: Place, message: str, hint: str = "") -> None:
        self.problems.append(Problem(Location(self._path, place.line, place.column), message, hint))

    def take(self, root: Mapping) -> None:
        if not any(key.text in ("dependencies", "channels") for key, _ in root.entries):
            self.refuse(root.place, "not a conda environment: no dependencies", "write channels: and dependencies:")
            return
        for key, node in root.entries:
            if key.text == "channels":
                self._channels(node)
            elif key.text == "dependencies":
                self._dependencies(node)
            elif key.text not in _PASSED_OVER:
                unknown = (f"{ascii(key.text)[:60]} is no key of a conda environment", "remove it")
                self.refuse(key.place, *_KEYS_REFUSED.get(key.text, unknown))

    def _items(self, node: Node, what: str) -> tuple[Node, ...]:
        if isinstance(node, Sequence):
            return node.items
        if not (isinstance(node, Scalar) and node.is_null):
            self.refuse(node.place, f"{what} is not a list", "write one entry a line, each after a dash")
        return ()

    def _channels(self, node: Node) -> None:
        for item in self._items(node, "channels"):
            if not isinstance(item, Scalar) or item.is_null:
                self.refuse(item.place, "a channel is a name", CHANNEL_HINT)
            elif _CHANNEL.fullmatch(item.text) is None:
                self.refuse(item.place, "a channel is named by alias, not by address or path", CHANNEL_HINT)
            else:
                self.channels.append(item.text)

    def _dependencies(self, node: Node) -> None:
        for item in self._items(node, "dependencies"):
            if isinstance(item, Mapping):
                self._nested(item)
            elif isinstance(item, Scalar) and not item.is_null:
                try:
                    self.dependencies.append(parse_match(item.text))
                except ValueError as error:
                    self.refuse(item.place, str(error), "write NAME, NAME=VERSION or CHANNEL::NAME")
            else:
                self.refuse(item.place, "a dependency is a text, or a list under pip:", "remove the entry")

    def _nested(self, mapping: Mapping) -> None:
        for key, node in mapping.entries:
            if key.text != "pip":
                self.refuse(key.place, f"only pip: can stand here, not {ascii(key.text)[:60]}", "write - pip:")
                continue
            for item in self._items(node, "pip"):
                if isinstance(item, Scalar) and not item.is_null:
                    where = Location(self._path, item.place.line, item.place.column)
                    # A comment inside an entry is conda's way of passing a requirement file's line on to pip.
                    self.pip += [(line, where) for _, line in split_lines(item.text)]
                else:
                    self.refuse(item.place, "a pip requirement is a text", "write NAME or NAME==VERSION")
