"""From nodes to JSON values, led by a schema: what people type is kept. Pure.

A scalar is text. Only where the schema wants a boolean are plain ``true`` and ``false`` read, and only where it wants
an integer plain decimal digits, so that ``3.10``, ``no``, ``010`` and ``190:20:30`` stay as they are typed. YAML's
null is null, which no field allows. What doesn't fit is passed on as it is: the schema gives the verdict.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.manifest import node as nodes
from reconciler.manifest.node import Node, Place, Scalar, Sequence
from reconciler.values.canonical import Json

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})")
Steps = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Converted:
    """A document as a JSON value. By its path, where each field's value stands, and where its key does."""

    value: Json
    places: Mapping[str, Place] = field(default_factory=dict)
    keys: Mapping[str, Place] = field(default_factory=dict)
    quoted: frozenset[str] = frozenset()


def convert(root: Node | None, schema: Mapping[str, Json]) -> Converted:
    """Convert a document's root."""
    work = _Conversion()
    value = None if root is None else work.convert(root, schema, "")
    return Converted(value=value, places=work.places, keys=work.keys, quoted=frozenset(work.quoted))


def field_path(steps: Iterator[str | int] | Steps) -> str:
    """Write ``python.pip[0]``."""
    text = ""
    for step in steps:
        text = f"{text}[{step}]" if isinstance(step, int) else f"{text}.{step}" if text else step
    return text


def property_schema(schema: Mapping[str, Json], key: str) -> Mapping[str, Json]:
    """Give the schema of one field of an object; an empty one where none is known."""
    properties = schema.get("properties")
    found = properties.get(key) if isinstance(properties, dict) else None
    if found is None:
        found = schema.get("additionalProperties")
    return found if isinstance(found, dict) else {}


class _Conversion:
    def __init__(self) -> None:
        self.places: dict[str, Place] = {}
        self.keys: dict[str, Place] = {}
        self.quoted: set[str] = set()

    def convert(self, node: Node, schema: Mapping[str, Json], path: str) -> Json:
        # A scalar is pointed at itself, a section by its name: that is where it begins to a reader.
        is_value = isinstance(node, Scalar) and not node.is_null
        self.places[path] = node.place if is_value else self.keys.get(path, node.place)
        if isinstance(node, Scalar):
            if not node.plain:
                self.quoted.add(path)
            return _scalar(node, schema.get("type"))
        if isinstance(node, Sequence):
            return self._items(node, schema, path)
        return self._fields(node, schema, path)

    def _items(self, node: Sequence, schema: Mapping[str, Json], path: str) -> Json:
        found = schema.get("items")
        inner = found if isinstance(found, dict) else {}
        return [self.convert(item, inner, f"{path}[{index}]") for index, item in enumerate(node.items)]

    def _fields(self, node: nodes.Mapping, schema: Mapping[str, Json], path: str) -> Json:
        value: dict[str, Json] = {}
        for key, item in node.entries:
            inner = f"{path}.{key.text}" if path else key.text
            self.keys[inner] = key.place
            value[key.text] = self.convert(item, property_schema(schema, key.text), inner)
        return value


def _scalar(node: Scalar, wanted: Json) -> Json:
    if node.is_null:
        return None
    if node.plain and wanted == "boolean" and node.text in ("true", "false"):
        return node.text == "true"
    if node.plain and wanted == "integer" and _INTEGER.fullmatch(node.text):
        return int(node.text)
    return node.text
