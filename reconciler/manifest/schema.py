"""Schemas, and their verdict in words: the only module that knows jsonschema. Pure.

The verdict is jsonschema's (draft-07), with an empty registry, so that nothing is ever fetched. The words are ours:
each finding says the field, what is wrong and the likely fix.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, cast

from reconciler.errors import ReconcilerError
from reconciler.manifest.conversion import Converted, field_path
from reconciler.manifest.node import MAX_PROBLEMS, Place
from reconciler.manifest.problem import Problem
from reconciler.manifest.wording import is_secret_path, listed, quoted, suggestion
from reconciler.values.canonical import Json
from reconciler.values.location import Location

if TYPE_CHECKING:
    from jsonschema import Draft7Validator, ValidationError

_KINDS = {
    "string": "a text",
    "array": "a list",
    "object": "a mapping",
    "boolean": "true or false",
    "integer": "a number",
}
_TRUE, _FALSE = ("true", "yes", "on", "y", "1"), ("false", "no", "off", "n", "0")
_BOOLEANS = {**dict.fromkeys(_TRUE, "true"), **dict.fromkeys(_FALSE, "false")}
_SHOWN = 100
# What people know from other tools, and where it stands here.
_SYNONYMS = {
    "image": "docker.base_image",
    "dockerfile": "docker.base_dockerfile",
    "env": "environment_variables",
    "variables": "environment_variables",
    "dependencies": "python.pip",
    "packages": "python.pip",
    "requirements": "python.pip_file",
    "python_version": "python.version",
    "channels": "python.conda.channels",
    "apt": "system_packages",
    "conda_dependencies": "python.conda.dependencies",
    "base": "docker.base",
    "labels": "docker.labels",
    "gpu": "compute",
    "index": "python.indexes",
    "index_url": "python.indexes",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Schema:
    """A JSON Schema as read. ``homes`` says where a field's name occurs: name to paths."""

    content: Mapping[str, Json]
    validator: Draft7Validator
    homes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@lru_cache(maxsize=8)
def parse_schema(text: str) -> Schema:
    """Read a schema's text. What is no JSON object is a ReconcilerError: the installation is damaged."""
    import jsonschema  # noqa: PLC0415  # costs 60 ms that only a reader of manifests should pay
    import referencing  # noqa: PLC0415  # the same

    try:
        content = json.loads(text)
    except ValueError as error:
        raise ReconcilerError("a schema of the reconciler can't be read", hint="install it again") from error
    if not isinstance(content, dict):
        raise ReconcilerError("a schema of the reconciler is no object", hint="install it again")
    registry: referencing.Registry[bool | Mapping[str, object]] = referencing.Registry()
    return Schema(
        content=content,
        validator=jsonschema.Draft7Validator(content, registry=registry),
        homes=_homes(content),
    )


def check(converted: Converted, schema: Schema, path: str) -> list[Problem]:
    """Give every finding about a document, at most ``MAX_PROBLEMS``, each at its place, in the file's order."""
    worder = _Worder(converted, schema, path)
    found: set[Problem] = set()
    for error in schema.validator.iter_errors(converted.value):
        # One error may be thousands of findings (unknown fields), each with a search for the likely word.
        found.update(islice(worder.problems(_Fault.of(error)), MAX_PROBLEMS))
        if len(found) >= MAX_PROBLEMS:
            break
    return sorted(found)[:MAX_PROBLEMS]


def _homes(schema: Mapping[str, Json]) -> Mapping[str, tuple[str, ...]]:
    homes: dict[str, list[str]] = {}
    for path in _field_paths(schema, ""):
        homes.setdefault(path.rpartition(".")[2], []).append(path)
    return {name: tuple(paths) for name, paths in homes.items()}


def _home(key: str, homes: Mapping[str, tuple[str, ...]]) -> str | None:
    """Find where a field stands that is called so, or nearly so, or that another tool calls so."""
    if key in homes:
        return homes[key][0]
    synonym = _SYNONYMS.get(key.lower().replace("-", "_"))
    if synonym is not None and synonym in homes.get(synonym.rpartition(".")[2], ()):
        return synonym
    near = suggestion(key, homes)
    return homes[near][0] if near else None


def _field_paths(schema: Mapping[str, Json], path: str) -> Iterator[str]:
    properties = schema.get("properties")
    for name, inner in properties.items() if isinstance(properties, dict) else ():
        here = f"{path}.{name}" if path else name
        yield here
        if isinstance(inner, dict):
            yield from _field_paths(inner, here)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fault:
    """One of jsonschema's errors: which keyword, at which field, what stands there and what the keyword wants."""

    keyword: str
    where: str
    value: Json
    wanted: Json
    schema: Mapping[str, Json]
    is_key: bool

    @classmethod
    def of(cls, error: ValidationError) -> _Fault:
        return cls(
            keyword=str(error.validator),
            where=field_path(tuple(error.absolute_path)),
            value=cast("Json", error.instance),
            wanted=cast("Json", error.validator_value),
            schema=cast("Mapping[str, Json]", error.schema if isinstance(error.schema, dict) else {}),
            is_key="propertyNames" in error.relative_schema_path,
        )

    @property
    def names(self) -> list[str]:
        """What the keyword wants, as words."""
        return [str(item) for item in self.wanted] if isinstance(self.wanted, list) else [str(self.wanted)]

    @property
    def properties(self) -> Mapping[str, Json]:
        """The fields that the schema knows here."""
        found = self.schema.get("properties")
        return found if isinstance(found, dict) else {}

    @property
    def expected(self) -> str:
        """The schema's own words for what a pattern wants."""
        found = self.schema.get("$comment")
        return found if isinstance(found, str) else "what the schema describes"


class _Worder:
    """Turns jsonschema's errors about one document into problems."""

    def __init__(self, converted: Converted, schema: Schema, path: str) -> None:
        self._converted = converted
        self._schema = schema
        self._path = path

    def problems(self, fault: _Fault) -> Iterable[Problem]:
        """Word one error; some are several findings."""
        if fault.is_key:
            return [self._key(fault)]
        return self._words().get(fault.keyword, self._other)(fault)

    def _words(self) -> Mapping[str, Callable[[_Fault], Iterable[Problem]]]:
        return {
            "type": self._type,
            "enum": self._enum,
            "pattern": self._pattern,
            "required": self._required,
            "additionalProperties": self._unknown,
            "minItems": self._empty,
            "minLength": self._empty,
            "maxLength": self._long,
            "minimum": self._range,
            "maximum": self._range,
        }

    def _problem(self, where: str, message: str, hint: str = "", place: Place | None = None) -> Problem:
        found = place or self._converted.places.get(where) or Place(1, 1)
        return Problem(Location(self._path, found.line, found.column), message, hint)

    def _shown(self, where: str, value: Json) -> str:
        if is_secret_path(where):
            return "a value that is not shown"
        return quoted(value) if isinstance(value, str) else json.dumps(value)[:60]

    def _key(self, fault: _Fault) -> Problem:
        key = str(fault.value)
        inside = f"{fault.where}.{key}" if fault.where else key
        message = f"{_name(fault.where)} has the key {quoted(key)}; expected {fault.expected}"
        return self._problem(inside, message, place=self._converted.keys.get(inside))

    def _type(self, fault: _Fault) -> Iterable[Problem]:
        where, kinds = fault.where, fault.names
        expected = listed(_KINDS[kind] for kind in kinds)
        if fault.value is not None:
            message = f"{_name(where)} is {self._kind(where, fault.value)}; expected {expected}"
            return [self._problem(where, message, self._type_hint(where, fault.value, kinds))]
        if not where:
            return [self._problem("", "the file is empty", "begin with `name: ` and the file's own name")]
        hint = "write [] for an empty list" if "array" in kinds else "delete the line, or give it a value"
        hint = 'write "" for an empty text, or delete the line' if kinds == ["string"] else hint
        return [self._problem(where, f"{_name(where)} has no value; expected {expected}", hint)]

    def _kind(self, where: str, value: Json) -> str:
        if isinstance(value, (list, dict)):
            return "a list" if isinstance(value, list) else "a mapping"
        return f"the text {self._shown(where, value)}"

    def _type_hint(self, where: str, value: Json, kinds: list[str]) -> str:
        if not where:
            return "write fields, a line each: `name: ...`"
        if kinds == ["boolean"] and isinstance(value, str):
            meant = _BOOLEANS.get(value.lower())
            quotes = ", without quotes" if where in self._converted.quoted else ""
            return f"write {meant}{quotes}" if meant else "write true or false"
        if kinds == ["integer"]:
            return "write a whole number in decimal digits, without quotes"
        if kinds == ["array"] and isinstance(value, str):
            return "write a list: [VALUE]" if is_secret_path(where) else f"write [{quoted(value)[1:-1]}]"
        return "put the text in quotes, if it holds `: `" if kinds == ["string"] and isinstance(value, dict) else ""

    def _enum(self, fault: _Fault) -> Iterable[Problem]:
        if not isinstance(fault.value, str):
            return []  # `type` says it
        options = listed(fault.names)
        near = suggestion(fault.value, fault.names)
        hint = f"did you mean `{near}`?" if near else f"write {options}"
        message = f"{_name(fault.where)} is {self._shown(fault.where, fault.value)}; expected {options}"
        return [self._problem(fault.where, message, hint)]

    def _pattern(self, fault: _Fault) -> Iterable[Problem]:
        message = f"{_name(fault.where)} is {self._shown(fault.where, fault.value)}; expected {fault.expected}"
        return [self._problem(fault.where, message)]

    def _required(self, fault: _Fault) -> Iterable[Problem]:
        # jsonschema reports each missing field in an error of its own, and each names them all.
        inside = f"{_name(fault.where)} needs" if fault.where else "the file needs"
        present = fault.value if isinstance(fault.value, dict) else {}
        for name in fault.names:
            if name not in present:
                message = f"{inside} the field `{name}`"
                yield self._problem(fault.where, message, f"add `{name}: {_example(fault.properties.get(name))}`")

    def _unknown(self, fault: _Fault) -> Iterable[Problem]:
        for key in fault.value if isinstance(fault.value, dict) else ():
            if key not in fault.properties:
                inside = f"{fault.where}.{key}" if fault.where else key
                message = f"unknown field {_code(key)}" + (f" in {_name(fault.where)}" if fault.where else "")
                hint = self._unknown_hint(key, fault.where, fault.schema)
                yield self._problem(inside, message, hint, place=self._converted.keys.get(inside))

    def _unknown_hint(self, key: str, where: str, schema: Mapping[str, Json]) -> str:
        found = schema.get("properties")
        properties = found if isinstance(found, dict) else {}
        near = suggestion(key, properties)
        if near is not None:
            return f"did you mean `{near}`?"
        # First what is inside the section at hand, as in a set of defaults, then anywhere.
        inside = _home(key, _homes(schema)) if where else None
        home = f"{where}.{inside}" if inside else _home(key, self._schema.homes)
        if home is None:
            return f"known fields: {', '.join(properties)}"
        section, _, name = home.rpartition(".")
        place = f"under `{section}`" if section else "at the top level"
        return f"`{name}` stands {place}" if name == key else f"did you mean `{name}`? It stands {place}"

    def _empty(self, fault: _Fault) -> Iterable[Problem]:
        return [self._problem(fault.where, f"{_name(fault.where)} is empty", "delete the line, or give it a value")]

    def _long(self, fault: _Fault) -> Iterable[Problem]:
        length = len(fault.value) if isinstance(fault.value, str) else 0
        message = f"{_name(fault.where)} has {length} characters, at most {fault.wanted} are allowed"
        return [
            self._problem(fault.where, message + (f"; expected {fault.expected}" if "pattern" in fault.schema else ""))
        ]

    def _range(self, fault: _Fault) -> Iterable[Problem]:
        bound = "at least" if fault.keyword == "minimum" else "at most"
        return [self._problem(fault.where, f"{_name(fault.where)} is {fault.value}; expected {bound} {fault.wanted}")]

    def _other(self, fault: _Fault) -> Iterable[Problem]:
        return [self._problem(fault.where, f"{_name(fault.where)} does not fit the schema ({fault.keyword})")]


def _example(schema: Json) -> str:
    found = schema.get("examples") if isinstance(schema, dict) else None
    first = found[0] if isinstance(found, list) and found else None
    return first if isinstance(first, str) else "[...]" if isinstance(first, list) else "..."


def _name(where: str) -> str:
    return _code(where) if where else "the file"


def _code(text: str) -> str:
    if "@" in text or "://" in text:
        return quoted(text)
    shown = ascii(text)[1:-1]
    return f"`{shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '...'}`"
