"""Requirement files (pip's format): joined, followed and read by meaning.

A file that a file names is relative to the file that names it, and stays inside the repository. Which file a
requirement stands in, in which order and how often is no part of the meaning. Spec followed: pip's "Requirements File
Format", as far as ``manifest/requirement.py`` allows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from reconciler.errors import SourceError
from reconciler.manifest.problem import Problem
from reconciler.manifest.requirement import Line, RefusedLineError, parse_line
from reconciler.values import paths
from reconciler.values.location import Location

MAX_FILES = 100
MAX_DEPTH = 10
MAX_LINES = 20_000
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_ONLY_COMMENT = re.compile(r"\s*#")
_BREAKS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")

Read = Callable[[str], bytes]


@dataclass(slots=True)
class Collected:
    """What requirement files and lists say together, while it is gathered.

    ``requirements`` and ``constraints`` are in one spelling, that of a repository's wheel with its path relative to the
    reader's folder (``./`` or ``../`` first); ``hashes`` are by requirement; ``wheels`` give each such path's own path
    in the repository.
    """

    requirements: set[str] = field(default_factory=set)
    constraints: set[str] = field(default_factory=set)
    hashes: dict[str, set[str]] = field(default_factory=dict)
    wheels: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def split_lines(text: str) -> Iterator[tuple[int, str]]:
    """Give each line with its number: continuations joined, comments and blank lines taken out.

    A comment ends a continuation and never continues. Only LF and CRLF end a line; another control or line-breaking
    character is left for :func:`parse_line` to refuse, so that nothing hides behind a comment.
    """
    joined: list[str] = []
    start = 0
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.removesuffix("\r")
        if _BREAKS.search(line):
            yield number, "\0"
            continue
        comment = _ONLY_COMMENT.match(line) is not None
        start = start if joined else number
        if line.endswith("\\") and not comment:
            joined.append(line[:-1])
            continue
        whole = _COMMENT.sub("", "".join([*joined, " " + line if comment else line])).strip()
        joined = []
        if whole:
            yield start, whole
    if joined:
        whole = _COMMENT.sub("", "".join(joined)).strip()
        if whole:
            yield start, whole


class Reader:
    """Reads requirement files into ``collected``; every problem is kept with file and line, none is raised.

    ``folder`` is the manifest's: where wheels are written relative to.
    """

    def __init__(self, read: Read, folder: str = "") -> None:
        self.collected = Collected()
        self._read = read
        self._folder = folder
        self._seen: set[tuple[str, str]] = set()

    def read_file(self, path: str, *, kind: str = "requirements", where: Location, above: tuple[str, ...] = ()) -> None:
        """Read a file of the repository and what it names. ``where`` names it, ``above`` are the files on the way."""
        if path in above:
            self.refuse(where, f"{path} names itself through {' → '.join((*above[above.index(path) :], path))}")
        elif len(above) >= MAX_DEPTH or len(self._seen) >= MAX_FILES:
            self.refuse(where, f"requirement files name more than {MAX_DEPTH} levels or {MAX_FILES} files")
        elif (path, kind) not in self._seen:
            self._seen.add((path, kind))
            text = self._text(path, where)
            for number, line in split_lines(text):
                if number > MAX_LINES:
                    self.refuse(Location(path, number), f"a requirement file has at most {MAX_LINES} lines")
                    break
                self.add(line, kind=kind, where=Location(path, number), above=(*above, path))

    def add(self, text: str, *, kind: str = "requirements", where: Location, above: tuple[str, ...] = ()) -> None:
        """Add one line that stands at ``where``; files and wheels that it names are relative to that file."""
        try:
            line = parse_line(text)
            if line.include is not None:
                target = paths.join(paths.folder_of(where.path), line.include.path)
                kind = "constraints" if kind == "constraints" else line.include.kind
                self.read_file(target, kind=kind, where=where, above=above)
            elif line.requirement is not None:
                self._keep(line, line.requirement, kind, where)
        except RefusedLineError as error:
            self.refuse(where, error.message, error.hint)
        except ValueError as error:
            self.refuse(where, str(error))

    def refuse(self, where: Location, message: str, hint: str = "") -> None:
        """Keep a problem."""
        self.collected.problems.append(Problem(where, message, hint))

    def _keep(self, line: Line, requirement: str, kind: str, where: Location) -> None:
        if line.wheel is not None:
            path = paths.join(paths.folder_of(where.path), line.wheel)
            relative = paths.relative(path, self._folder)
            self.collected.wheels[relative] = path
            requirement = line.with_path(relative)
        (self.collected.constraints if kind == "constraints" else self.collected.requirements).add(requirement)
        if line.hashes:
            self.collected.hashes.setdefault(requirement, set()).update(line.hashes)

    def _text(self, path: str, where: Location) -> str:
        try:
            return self._read(path).decode("utf-8-sig")
        except UnicodeDecodeError:
            self.refuse(Location(path), "the file is not UTF-8", "save it as UTF-8")
        except SourceError as error:
            self.refuse(where, error.message, error.hint or "")
        return ""
