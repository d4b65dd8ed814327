"""Locks as files: ``NAME.lock.json``, one package a line, sorted, so that a difference reads well.

Shape (``schemas/lock.schema.json``): ``version``, ``inputs``, ``platforms`` by name, each with ``python``, ``libc``,
``packages`` and ``observed``. Reading is strict: unknown and missing keys, doubled keys and packages, numbers that are
no integers and texts of another form are refused, with their line. JSON is that of RFC 8259.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import starmap

from reconciler.errors import ManifestError
from reconciler.lock import form
from reconciler.lock.model import FORMAT_VERSION, Base, Interpreter, Lock, Package, PlatformLock
from reconciler.lock.system import Archive, Part, System, SystemPackage
from reconciler.values.canonical import Json
from reconciler.values.digest import Digest
from reconciler.values.location import Location
from reconciler.values.platform import Platform

MAX_BYTES = 16 << 20
MAX_PACKAGES = 20_000
_BLANK = " \t\r\n"
_HINT = "delete it, then run `reconciler lock`, which writes it"


class _FieldError(ValueError):
    """Something wrong in a lock, with the keys and indexes that lead to it."""

    def __init__(self, path: tuple[str | int, ...], reason: str) -> None:
        super().__init__(f"{_path_text(path)}: {reason}" if path else reason)
        self.path = path
        self.reason = reason


# -- reading ----------------------------------------------------------------------------------------------------


def parse_lock(data: bytes, path: str) -> Lock:
    """Read a lock file; ``path`` is how it is called in errors. What is wrong is a ManifestError with its line."""
    text = ""
    try:
        text = _decode(data)
        return lock_from_json(_load(text))
    except _FieldError as error:
        line = _line_of(text, error.path)
        raise _invalid(path, line, str(error)) from None
    except json.JSONDecodeError as error:
        raise _invalid(path, error.lineno, f"not JSON: {error.msg}") from None
    except UnicodeDecodeError:
        raise _invalid(path, 1, "not UTF-8") from None
    except RecursionError:
        raise _invalid(path, 1, "nested too deeply") from None
    except ValueError as error:
        raise _invalid(path, 1, str(error)[:200]) from None


def lock_from_json(value: Json) -> Lock:
    """Read a lock from plain JSON values; what is wrong is a ValueError that begins with the path to it."""
    top = _object(value, (), ("version", "inputs", "platforms"))
    if top["version"] != FORMAT_VERSION or isinstance(top["version"], bool):
        raise _FieldError(("version",), f"unknown version {ascii(top['version'])[:40]}, known is {FORMAT_VERSION}")
    platforms = top["platforms"]
    if not isinstance(platforms, dict) or not platforms:
        raise _FieldError(("platforms",), "an object with at least one platform is needed")
    return Lock(
        inputs=_digest(top["inputs"], ("inputs",)),
        platforms={_platform(name): _platform_lock(body, ("platforms", name)) for name, body in platforms.items()},
    )


def _decode(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise _FieldError((), f"a lock has at most {MAX_BYTES >> 20} MB, this one has {len(data) >> 20}")
    return data.decode("utf-8")


def _load(text: str) -> Json:
    value: Json = json.loads(text, object_pairs_hook=_no_doubles, parse_float=_refuse, parse_constant=_refuse)
    return value


def _no_doubles(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise _FieldError((), f"the key {ascii(double)[:80]} stands twice")
    return found


def _refuse(text: str) -> Json:
    raise _FieldError((), f"{text[:40]} is not an integer")


def _platform(name: str) -> Platform:
    try:
        return Platform.parse(name)
    except ValueError as error:
        raise _FieldError(("platforms", name), str(error)) from None


def _platform_lock(value: Json, path: tuple[str | int, ...]) -> PlatformLock:
    body = _object(value, path, ("python", "libc", "packages", "observed"), optional=("base", "system"))
    return PlatformLock(
        system=_system(body["system"], (*path, "system")) if "system" in body else None,
        base=_base(body["base"], (*path, "base")) if "base" in body else None,
        interpreter=_interpreter(body["python"], (*path, "python")),
        libc=_text(body["libc"], (*path, "libc"), "libc"),
        packages=_packages(body["packages"], (*path, "packages")),
        observed=_observed(body["observed"], (*path, "observed")),
    )


def _base(value: Json, path: tuple[str | int, ...]) -> Base:
    body = _object(value, path, ("image", "digest", "python", "links", "passwd", "group"))
    links = body["links"]
    if not isinstance(links, dict) or len(links) > MAX_PACKAGES:
        raise _FieldError((*path, "links"), f"an object of at most {MAX_PACKAGES} paths is needed")
    for link in links:
        _text(link, (*path, "links", link), "path in a base")
    return Base(
        image=_text(body["image"], (*path, "image"), "image"),
        digest=str(_digest(body["digest"], (*path, "digest"))),
        python=_text(body["python"], (*path, "python"), "path in a base"),
        links={link: _text(target, (*path, "links", link), "path in a base") for link, target in sorted(links.items())},
        passwd=_text(body["passwd"], (*path, "passwd"), "accounts"),
        group=_text(body["group"], (*path, "group"), "accounts"),
    )


def _system(value: Json, path: tuple[str | int, ...]) -> System:
    body = _object(value, path, ("distribution", "suite", "variant", "archives", "packages"))
    system = System(
        **{key: _text(body[key], (*path, key), key) for key in ("distribution", "suite", "variant")},
        archives=tuple(starmap(_archive, _items(body["archives"], (*path, "archives")))),
        packages=tuple(starmap(_system_package, _items(body["packages"], (*path, "packages")))),
    )
    known, seen = {archive.name for archive in system.archives}, set[str]()
    for index, package in enumerate(system.packages):
        if package.archive not in known:
            raise _FieldError((*path, "packages", index, "archive"), f"no archive is named {package.archive}")
        if package.name in seen:
            raise _FieldError((*path, "packages", index, "name"), f"the package {package.name} stands twice")
        seen.add(package.name)
    return system


def _items(value: Json, path: tuple[str | int, ...]) -> Iterator[tuple[Json, tuple[str | int, ...]]]:
    if not isinstance(value, list) or len(value) > MAX_PACKAGES:
        raise _FieldError(path, f"a list of at most {MAX_PACKAGES} is needed")
    return ((item, (*path, index)) for index, item in enumerate(value))


def _archive(value: Json, path: tuple[str | int, ...]) -> Archive:
    body = _object(value, path, ("alias", "suite", "component", "date", "digest"))
    texts = {key: _text(body[key], (*path, key), key) for key in ("alias", "suite", "component", "date")}
    return Archive(**texts, digest=str(_digest(body["digest"], (*path, "digest"))))


def _system_package(value: Json, path: tuple[str | int, ...]) -> SystemPackage:
    kinds = {
        "name": "name",
        "version": "version",
        "architecture": "architecture",
        "file": "path in an archive",
        "sha256": "sha256",
        "archive": "archive",
        "part": "part",
    }
    body = _object(value, path, (*kinds, "size"))
    texts = {key: _text(body[key], (*path, key), kind) for key, kind in kinds.items()}
    part = Part(texts.pop("part"))
    return SystemPackage(**texts, size=_size(body["size"], (*path, "size")), part=part)


def _size(value: Json, path: tuple[str | int, ...]) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= form.MAX_SIZE:
        raise _FieldError(path, "a number of bytes is needed")
    return value


def _interpreter(value: Json, path: tuple[str | int, ...]) -> Interpreter:
    body = _object(value, path, ("implementation", "version", "abi", "provider"), optional=("build",))
    return Interpreter(
        build=_package(body["build"], (*path, "build")) if "build" in body else None,
        implementation=_text(body["implementation"], (*path, "implementation"), "implementation"),
        version=_text(body["version"], (*path, "version"), "python version"),
        abi=_text(body["abi"], (*path, "abi"), "abi"),
        provider=_text(body["provider"], (*path, "provider"), "provider"),
    )


def _packages(value: Json, path: tuple[str | int, ...]) -> tuple[Package, ...]:
    if not isinstance(value, list) or len(value) > MAX_PACKAGES:
        raise _FieldError(path, f"a list of at most {MAX_PACKAGES} packages is needed")
    seen: set[tuple[str, bool]] = set()
    packages = []
    for index, item in enumerate(value):
        package = _package(item, (*path, index))
        # A conda package and a wheel may bear one name; nothing else may.
        key = (package.name, package.source.startswith("channel:"))
        if key in seen:
            raise _FieldError((*path, index, "name"), f"the package {package.name} stands twice")
        seen.add(key)
        packages.append(package)
    return tuple(sorted(packages))


def _package(value: Json, path: tuple[str | int, ...]) -> Package:
    body = _object(value, path, ("name", "version", "file", "size", "sha256", "source"))
    texts = {kind: _text(body[kind], (*path, kind), kind) for kind in ("name", "version", "file", "sha256", "source")}
    return Package(size=_size(body["size"], (*path, "size")), **texts)


def _observed(value: Json, path: tuple[str | int, ...]) -> Mapping[str, str]:
    if not isinstance(value, dict) or len(value) > MAX_PACKAGES:
        raise _FieldError(path, f"an object of at most {MAX_PACKAGES} names and versions is needed")
    for name in value:
        _text(name, (*path, name), "name")
    return {name: _text(version, (*path, name), "version") for name, version in sorted(value.items())}


def _object(
    value: Json, path: tuple[str | int, ...], keys: tuple[str, ...], *, optional: tuple[str, ...] = ()
) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise _FieldError(path, "an object is needed")
    for key in keys:
        if key not in value:
            raise _FieldError(path, f"{key} is missing")
    for key in value:
        if key not in (*keys, *optional):
            raise _FieldError((*path, key), f"unknown key, known are {', '.join((*keys, *optional))}")
    return value


def _text(value: Json, path: tuple[str | int, ...], kind: str) -> str:
    if not isinstance(value, str):
        raise _FieldError(path, "text is needed")
    reason = form.refusal(kind, value)
    if reason is not None:
        raise _FieldError(path, reason)
    return value


def _digest(value: Json, path: tuple[str | int, ...]) -> Digest:
    if not isinstance(value, str):
        raise _FieldError(path, "text is needed")
    try:
        return Digest.parse(value)
    except ValueError as error:
        raise _FieldError(path, str(error)) from None


def _invalid(path: str, line: int, reason: str) -> ManifestError:
    return ManifestError(f"invalid lock: {reason}", where=Location(path, line), hint=_HINT)


# -- where something stands -------------------------------------------------------------------------------------


def _path_text(path: tuple[str | int, ...]) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{ascii(part)[1:-1][:80]}" for part in path]
    return "".join(parts).removeprefix(".")


def _line_of(text: str, path: tuple[str | int, ...]) -> int:
    """Find the line of what ``path`` leads to, or of the nearest that encloses it."""
    position = _skip(text, 0)
    for part in path:
        found = next((at for key, at in _children(text, position) if key == part), None)
        if found is None:
            break
        position = found
    return text.count("\n", 0, position) + 1


def _children(text: str, position: int) -> Iterator[tuple[str | int, int]]:
    """Give what an object or a list holds, as keys or indexes with the position of each value."""
    decode = json.JSONDecoder().raw_decode
    opening, position, count = text[position : position + 1], _skip(text, position + 1), 0
    while opening in {"{", "["} and text[position] not in "]}":
        key: str | int = count
        if opening == "{":
            key, position = decode(text, position)
            position = _skip(text, _skip(text, position) + 1)
        yield key, position
        position = _skip(text, decode(text, position)[1])
        position = _skip(text, position + 1) if text[position] == "," else position
        count += 1


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in _BLANK:
        position += 1
    return position


# -- writing ----------------------------------------------------------------------------------------------------


def to_document(lock: Lock) -> bytes:
    """Write the file: platforms and packages sorted, one package a line, a newline at the end."""
    platforms = ",\n".join(
        f"    {_one_line(str(platform))}: {_platform_text(lock.platforms[platform])}"
        for platform in sorted(lock.platforms)
    )
    head = f'{{\n  "version": {FORMAT_VERSION},\n  "inputs": {_one_line(str(lock.inputs))},\n'
    return f'{head}  "platforms": {{\n{platforms}\n  }}\n}}\n'.encode()


def _platform_text(platform: PlatformLock) -> str:
    packages = [f"        {_one_line(package.to_json())}" for package in sorted(platform.packages)]
    observed = [
        f"        {_one_line(name)}: {_one_line(version)}" for name, version in sorted(platform.observed.items())
    ]
    lines = [
        f'      "python": {_one_line(platform.interpreter.to_json())}',
        f'      "libc": {_one_line(platform.libc)}',
        f'      "packages": {_block("[", packages, "]")}',
        f'      "observed": {_block("{", observed, "}")}',
    ]
    if platform.base is not None:
        fields = [f"        {_one_line(name)}: {_one_line(value)}" for name, value in platform.base.to_json().items()]
        lines.insert(0, f'      "base": {_block("{", fields, "}")}')
    if platform.system is not None:
        lines.insert(1, f'      "system": {_system_text(platform.system)}')
    return "{\n" + ",\n".join(lines) + "\n    }"


def _system_text(system: System) -> str:
    value = system.to_json()
    fields = [f"        {_one_line(name)}: {_one_line(value[name])}" for name in ("distribution", "suite", "variant")]
    for name in ("archives", "packages"):
        items = value[name]
        assert isinstance(items, list)  # noqa: S101  # as it is written
        rows = [f"          {_one_line(item)}" for item in items]
        fields.append(f"        {_one_line(name)}: " + ("[\n" + ",\n".join(rows) + "\n        ]" if rows else "[]"))
    return _block("{", fields, "}")


def _block(opening: str, lines: list[str], closing: str) -> str:
    return f"{opening}\n" + ",\n".join(lines) + f"\n      {closing}" if lines else opening + closing


def _one_line(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False)
