"""Locks under Hypothesis: exact round trips, the schema's verdict, and differences that add up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.errors import ManifestError
from reconciler.lock.difference import differences
from reconciler.lock.document import lock_from_json, parse_lock, to_document
from reconciler.lock.model import Interpreter, Lock, Package, PlatformLock
from reconciler.lock.system import Archive, Part, System, SystemPackage
from reconciler.values.digest import Digest
from reconciler.values.platform import SUPPORTED, Platform

SCHEMA = jsonschema.Draft7Validator(json.loads((Path(__file__).parents[2] / "schemas/lock.schema.json").read_text()))
names = st.from_regex(r"\A[a-z0-9_][a-z0-9._+-]{0,20}\Z")
versions = st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9!+._~:-]{0,20}\Z")
hexes = st.binary(min_size=32, max_size=32).map(bytes.hex)
aliases = st.from_regex(r"\A[a-z0-9]+([._-][a-z0-9]+)?\Z")
sources = st.one_of(
    aliases.map("index:{}".format),
    hexes.map(lambda digest: f"built:x-1.tar.gz@sha256:{digest}"),
    st.just("url:https://host.invalid/x-1-py3-none-any.whl"),
    hexes.map(lambda digest: f"git:https://host.invalid/x@{digest}"),
)
packages = st.builds(
    Package,
    name=names,
    version=versions,
    file=st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9!+._~%-]{0,30}\Z"),
    size=st.integers(0, 1 << 50),
    sha256=hexes,
    source=sources,
)
interpreters = st.builds(
    Interpreter,
    implementation=st.sampled_from(["cpython", "pypy"]),
    version=st.sampled_from(["3.9", "3.11.7", "3.14.0rc1"]),
    abi=st.sampled_from(["cp39", "cp311", "cp313t"]),
    provider=st.sampled_from(["host", "user", "standalone"]),
)
ARCHIVES = tuple(
    Archive(alias=alias, suite=suite, component="main", date="2026-01-01T00:00:00Z", digest=str(Digest.of(b"")))
    for alias, suite in (("debian", "bookworm"), ("debian-security", "bookworm-security"))
)
system_packages = st.builds(
    SystemPackage,
    name=names,
    version=versions,
    architecture=st.sampled_from(["amd64", "all"]),
    file=st.from_regex(r"\Apool/main/[a-z0-9]{1,9}/[A-Za-z0-9_][A-Za-z0-9+._~%:-]{0,30}\Z"),
    size=st.integers(0, 1 << 50),
    sha256=hexes,
    archive=st.sampled_from([archive.name for archive in ARCHIVES]),
    part=st.sampled_from(Part),
)
systems = st.builds(
    System,
    distribution=st.just("debian"),
    suite=st.sampled_from(["bookworm", "trixie"]),
    variant=st.sampled_from(["standard", "slim"]),
    archives=st.just(ARCHIVES),
    packages=st.lists(system_packages, min_size=1, max_size=4, unique_by=lambda package: package.name).map(
        lambda found: tuple(sorted(found, key=lambda package: package.name))
    ),
)
platform_locks = st.builds(
    PlatformLock,
    interpreter=interpreters,
    libc=st.sampled_from(["glibc 2.28", "macos 13.0", "musl 1.2"]),
    packages=st.lists(packages, max_size=6, unique_by=lambda package: package.name).map(
        lambda found: tuple(sorted(found))
    ),
    observed=st.dictionaries(names, versions, max_size=4),
    system=st.none() | systems,
)
locks = st.builds(
    Lock,
    inputs=st.binary(max_size=4).map(Digest.of),
    platforms=st.dictionaries(st.sampled_from(SUPPORTED).map(Platform.parse), platform_locks, min_size=1),
)


@given(locks)
def test_every_lock_reads_back_exactly_and_meets_the_schema(lock: Lock) -> None:
    document = to_document(lock)
    assert parse_lock(document, "a.lock.json") == lock
    assert to_document(parse_lock(document, "a.lock.json")) == document
    SCHEMA.validate(json.loads(document))


def assert_within(line: int, last: int) -> None:
    assert 0 < line <= last


@given(locks, st.data())
def test_one_changed_character_is_refused_or_another_lock(lock: Lock, data: st.DataObject) -> None:
    text = to_document(lock).decode()
    place = data.draw(st.integers(0, len(text) - 1))
    put = data.draw(st.characters(codec="utf-8"))
    try:
        read = parse_lock((text[:place] + put + text[place + 1 :]).encode(), "a.lock.json")
    except ManifestError as error:
        line = error.where.line if error.where else 0
        assert_within(line, text.count("\n") + 2)
    else:
        assert read == lock or to_document(read) != to_document(lock)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
@settings(max_examples=200)
def test_any_json_is_a_lock_or_a_value_error(value: object) -> None:
    try:
        lock_from_json(value)  # type: ignore[arg-type]  # anything at all
    except ValueError as error:
        assert str(error)  # noqa: PT017  # the only way out


@given(locks, locks)
def test_differences_add_up_and_turn_round(old: Lock, new: Lock) -> None:
    forth, back = differences(old, new), differences(new, old)
    assert sum(change.size_delta for change in forth) == _size(new) - _size(old)
    turned = {replace(change, old=change.new, new=change.old, size_delta=-change.size_delta) for change in back}
    assert set(forth) == turned
    assert list(forth) == sorted(forth, key=lambda change: change.order)
    assert differences(old, old) == ()


def _size(lock: Lock) -> int:
    parts = lock.platforms.values()
    debian = sum(package.size for one in parts if one.system is not None for package in one.system.packages)
    return debian + sum(package.size for one in parts for package in one.packages)
