"""A file of ours from bytes to a checked value: read, converted, judged by its schema. Pure.

It loads the YAML reader and the schema's validator, which cost a tenth of a second: who finds a file unchanged in the
cache does not import it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.manifest.conversion import convert
from reconciler.manifest.document import parse_document
from reconciler.manifest.node import Place, Scalar
from reconciler.manifest.problem import Problem
from reconciler.manifest.schema import check, parse_schema
from reconciler.values.canonical import Json


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """A file's value, where its fields stand, and every problem so far. ``empty`` says that nothing is in it."""

    value: Json
    places: Mapping[str, Place]
    problems: tuple[Problem, ...]
    empty: bool = False


def read_checked(data: bytes, path: str, schema: str) -> Checked:
    """Read a file and judge it; what can't be read on from is a ManifestError, the rest is in ``problems``."""
    document = parse_document(data, path)
    compiled = parse_schema(schema)
    converted = convert(document.root, compiled.content)
    null = document.root is None or (isinstance(document.root, Scalar) and document.root.is_null)
    return Checked(
        value=converted.value,
        places=converted.places,
        problems=(*document.problems, *check(converted, compiled, path)),
        empty=null and not document.problems,
    )
