"""YAML files as nodes with their places, read strictly: the only module that knows PyYAML. Pure.

Read is what PyYAML's own scanner and parser, written in Python, accept (YAML 1.1's syntax). The faster C library
is not used: it and the Python one disagree on invalid files, and a verdict must not depend on the machine. No
scalar is interpreted here; ``conversion`` does that, led by a schema.

Refused with line and column: what is not UTF-8, control characters, line ends other than LF and CRLF, tags,
directives, several documents, merge keys, duplicate keys, keys that are null or no text, numbers that are none
(``.nan``, ``.inf``), an alias inside its own anchor. A byte order mark of UTF-8 at the start is skipped. What is
too large, too deep or has too many nodes is refused while it is read; an alias counts as what it stands for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from reconciler.errors import ManifestError
from reconciler.manifest.node import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    MAX_PROBLEMS,
    Document,
    Mapping,
    Node,
    Place,
    Scalar,
    Sequence,
)
from reconciler.manifest.problem import Problem
from reconciler.manifest.wording import quoted
from reconciler.values.location import Location

_BOM = b"\xef\xbb\xbf"
# Line ends to YAML 1.1 only (NEL, LS, PS) hide text in what every editor shows as a comment, and marks that turn the
# direction of text show another text than what is read (CVE-2021-42574).
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")
_FORBIDDEN_VALUE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_LONE_CR = re.compile("\r(?!\n)")
_NOT_A_NUMBER = re.compile(r"[-+]?\.(?:nan|inf)", re.IGNORECASE)


def parse_document(data: bytes, path: str) -> Document:
    """Read a file. What can't be read on from is a ManifestError with one problem; the rest is in ``problems``."""
    text = _decode(data, path)
    builder = _Builder(path)
    for event in _events(text, path):
        builder.take(event)
    return Document(path=path, root=builder.root, problems=tuple(builder.problems))


def refuse(path: str, place: Place, message: str, hint: str = "") -> ManifestError:
    """Make the error of one problem."""
    problem = Problem(Location(path, place.line, place.column), message, hint)
    return ManifestError(message, where=problem.location, hint=hint or None, problems=(problem,))


def _decode(data: bytes, path: str) -> str:
    start = Place(1, 1)
    if len(data) > MAX_BYTES:
        raise refuse(path, start, f"the file has {len(data)} bytes, more than {MAX_BYTES}", "move large texts to files")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise refuse(path, start, "the file is UTF-16", "save it as UTF-8")
    data = data.removeprefix(_BOM)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        place = _place_at(data[: error.start].decode("utf-8"), error.start)
        raise refuse(path, place, "the file is not UTF-8", "save it as UTF-8") from error
    wrong = _FORBIDDEN.search(text)
    if wrong is not None:
        message = f"the file holds the character U+{ord(wrong.group()):04X}, which is not shown"
        raise refuse(path, _place_at(text, wrong.start()), message, 'delete it, or write it as "\\u...." in quotes')
    lone = _LONE_CR.search(text)
    if lone is not None:
        raise refuse(path, _place_at(text, lone.start()), "a line ends with CR alone", "end lines with LF or CRLF")
    return text


def _place_at(text: str, index: int) -> Place:
    before = text[:index]
    return Place(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


class _Reader(yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser):
    """PyYAML from characters to events, without its resolver and constructors."""

    def __init__(self, text: str) -> None:
        yaml.reader.Reader.__init__(self, text)
        yaml.scanner.Scanner.__init__(self)
        yaml.parser.Parser.__init__(self)


def _events(text: str, path: str) -> Iterator[yaml.events.Event]:
    reader = _Reader(text)
    while True:
        try:
            event: yaml.events.Event | None = reader.get_event()  # type: ignore[no-untyped-call]
        except yaml.MarkedYAMLError as error:
            raise _syntax(path, error) from error
        except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
            # Escapes beyond Unicode and endless numbers in directives come out raw.
            place = Place(reader.line + 1, reader.column + 1)
            raise refuse(path, place, "this is not valid YAML: a number is out of range") from error
        if event is None:
            return
        yield event


# What PyYAML says, and what a person can do about it.
_SYNTAX = (
    ("found character '\\t'", "a tab where YAML wants spaces", "indent and separate with spaces"),
    ("mapping values are not allowed", "a `:` where no value can begin", "quote the text, or check the indentation"),
    ("could not find expected ':'", "a line without its `:`", "add the `:`, or check the indentation"),
    ("expected <block end>", "this line does not fit into what stands above it", "check the indentation"),
    ("found undefined alias", "an alias without its anchor", "quote a text that begins with *"),
    ("found unexpected end of stream", "a quote that is never closed", "close the quote"),
    ("while scanning a quoted scalar", "a quoted text that is not closed in time", "close the quote"),
    ("expected ',' or", "a list or mapping in brackets that goes wrong here", "add the missing comma or bracket"),
    ("while scanning an alias", "an alias without a name", "quote a text that begins with *"),
    ("while scanning an anchor", "an anchor without a name", "quote a text that begins with &"),
    ("unknown escape character", "an unknown escape", "write \\\\ for a backslash, or use single quotes"),
    ("cannot start any token", "a character that no value begins with", "quote the text"),
    ("undefined tag handle", "a tag", "delete the tag: the schema says what each field is"),
    ("directive", "a directive", "delete the line that begins with %"),
)  # fmt: skip


# Noticed far behind: the fault is where the text or the quote began.
_BEGAN = ("could not find expected ':'", "found unexpected end of stream", "while scanning a quoted scalar")


def _syntax(path: str, error: yaml.MarkedYAMLError) -> ManifestError:
    said = f"{error.context or ''} {error.problem or ''}".strip()
    began = error.context_mark if any(part in said for part in _BEGAN) else None
    mark = began or error.problem_mark or error.context_mark
    place = Place(mark.line + 1, mark.column + 1) if mark is not None else Place(1, 1)
    for part, message, hint in _SYNTAX:
        if part in said:
            return refuse(path, place, f"not valid YAML: {message}", hint)
    return refuse(path, place, f"not valid YAML: {ascii(said)[1:-1][:200]}")


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet."""

    mapping: bool
    anchor: str | None
    place: Place
    nodes: list[Node]
    size: int = 1
    depth: int = 1


class _Builder:
    """Puts events together to nodes and counts them before any alias is followed."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._stack: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._nodes = 0
        self._repeated = 0
        self._documents = 0

    def take(self, event: yaml.events.Event) -> None:
        """Take the next event."""
        mark = event.start_mark
        place = Place(mark.line + 1, mark.column + 1) if mark is not None else Place(1, 1)
        if isinstance(event, yaml.NodeEvent):
            self._take_node(event, place)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close()
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise refuse(self.path, place, "a second document begins here", "write one environment a file")
            if event.version or event.tags:
                self._note(place, "a directive is not allowed", "delete the line that begins with %")

    def _take_node(self, event: yaml.events.NodeEvent, place: Place) -> None:
        if isinstance(event, yaml.AliasEvent):
            node = self._anchored(str(event.anchor), place)
            self._count(1 if isinstance(node, Scalar) else node.size, place)
            if not isinstance(node, Scalar) and len(self._stack) + node.depth > MAX_DEPTH:
                raise refuse(self.path, place, f"more than {MAX_DEPTH} levels, aliases followed", "write it flatter")
            self._count_text(node, place)
            self._add(node, None)
            return
        self._count(1, place)
        if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) and event.tag is not None:
            self._note(place, "a tag is not allowed", "delete it: the schema says what each field is")
        if isinstance(event, yaml.ScalarEvent):
            self._add(self._scalar(event, place), event.anchor)
            return
        if len(self._stack) >= MAX_DEPTH:
            raise refuse(self.path, place, f"more than {MAX_DEPTH} levels stand in one another", "write it flatter")
        self._stack.append(_Open(isinstance(event, yaml.MappingStartEvent), event.anchor, place, []))

    def _scalar(self, event: yaml.events.ScalarEvent, place: Place) -> Scalar:
        scalar = Scalar(text=event.value, plain=not event.style, place=place)
        wrong = _FORBIDDEN_VALUE.search(scalar.text)
        if wrong is not None:
            self._note(place, f"the text holds the character U+{ord(wrong.group()):04X}", "delete it")
            return Scalar(text=_FORBIDDEN_VALUE.sub("?", scalar.text), plain=scalar.plain, place=place)
        if scalar.plain and _NOT_A_NUMBER.fullmatch(scalar.text):
            self._note(
                place, f"{scalar.text} is a number that is none", f'write "{scalar.text}" if it is meant as text'
            )
        return scalar

    def _anchored(self, name: str, place: Place) -> Node:
        if any(open_.anchor == name for open_ in self._stack):
            raise refuse(self.path, place, "an alias stands inside its own anchor", "write the value out")
        node = self._anchors.get(name)
        if node is None:
            raise refuse(self.path, place, "an alias without its anchor", "quote a text that begins with *")
        return node

    def _add(self, node: Node, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._stack:
            self.root = node
            return
        parent = self._stack[-1]
        parent.nodes.append(node)
        if isinstance(node, Scalar):
            parent.size += 1
            return
        parent.size += node.size
        parent.depth = max(parent.depth, node.depth + 1)

    def _count(self, nodes: int, place: Place) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            message = f"the file has more than {MAX_NODES} values, aliases followed"
            raise refuse(self.path, place, message, "move long lists to files")

    def _count_text(self, node: Node, place: Place) -> None:
        # Nodes alone bound nothing: one long text, named in each of thousands of places, is read gigabytes long.
        self._repeated += _length(node)
        if self._repeated > MAX_BYTES:
            message = f"aliases stand for more than {MAX_BYTES} characters"
            raise refuse(self.path, place, message, "move long texts to files")

    def _close(self) -> None:
        open_ = self._stack.pop()
        node: Node
        if open_.mapping:
            entries = self._entries(open_.nodes)
            node = Mapping(entries=entries, place=open_.place, size=open_.size, depth=open_.depth)
        else:
            node = Sequence(items=tuple(open_.nodes), place=open_.place, size=open_.size, depth=open_.depth)
        self._add(node, open_.anchor)

    def _entries(self, nodes: list[Node]) -> tuple[tuple[Scalar, Node], ...]:
        entries: dict[str, tuple[Scalar, Node]] = {}
        for key, value in zip(nodes[::2], nodes[1::2], strict=True):
            if not isinstance(key, Scalar):
                self._note(key.place, "a key that is a list or a mapping", "write a plain text as the key")
            elif key.is_null:
                self._note(key.place, "a key without a name", "write the field's name before the `:`")
            elif key.plain and key.text == "<<":
                self._note(key.place, "a merge key (`<<`) is not allowed", "write the fields out, or use `extends`")
            elif key.text in entries:
                first = entries[key.text][0].place
                message = f"the key {quoted(key.text)} stands here a second time, first in line {first.line}"
                self._note(key.place, message, "keep one of the two")
            else:
                entries[key.text] = (key, value)
        return tuple(entries.values())

    def _note(self, place: Place, message: str, hint: str = "") -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(Location(self.path, place.line, place.column), message, hint))


def _length(node: Node) -> int:
    """Count the characters of all texts; as deep as a node may be, and once for each node that was counted."""
    if isinstance(node, Scalar):
        return len(node.text)
    if isinstance(node, Sequence):
        return sum(map(_length, node.items))
    return sum(len(key.text) + _length(value) for key, value in node.entries)
