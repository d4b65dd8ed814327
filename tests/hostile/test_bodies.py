"""Records whose content is whole, byte by byte, and is not what the record says: never built from, never run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.errors import CorruptError
from reconciler.oci.descriptor import Image
from reconciler.plan.change import Action, Reason
from reconciler.plan.observed import Present
from reconciler.reconcile.bodies import read_bodies, read_components, read_lock, with_bodies
from reconciler.reconcile.images import push_image
from reconciler.reconcile.inspect import get
from reconciler.reconcile.observe import Depth, observe
from reconciler.record import Record, components_content, lock_content, parse_record, to_index
from reconciler.registries.memory import MemoryRegistry
from reconciler.values.digest import Digest
from reconciler.values.names import Reference
from tests.world import ARM, LINUX, World, wanted

pytestmark = pytest.mark.threat("F11")


def applied() -> World:
    world = World(MemoryRegistry())
    world.apply([wanted("alpha", ["numpy"]), wanted("beta", ["scipy"])])
    return world


def record_of(world: World, name: str = "alpha") -> Record:
    return parse_record(world.registry.fetch(name, "current"))


def put(world: World, record: Record, *tags: str) -> Digest:
    content = to_index(record)
    world.registry.push("alpha", content, tags=tags or ("current", "v1"))
    return content.digest


def swapped(world: World, kind: str) -> Record:
    """Give alpha's record with the request or the lock of another environment, whole and in its place."""
    bodies = read_bodies(world.registry, "beta", record_of(world, "beta"))
    image: Image = components_content(bodies.components) if kind == "request" else lock_content(bodies.lock)
    entry = push_image(world.registry, "alpha", image).describe()
    old = record_of(world)
    return replace(old, request_entry=entry) if kind == "request" else replace(old, lock_entry=entry)


@pytest.mark.parametrize("kind", ["request", "lock"])
def test_content_of_another_environment_is_refused(kind: str) -> None:
    world = applied()
    record = swapped(world, kind)
    put(world, record)
    with pytest.raises(CorruptError, match=f"another {kind} than it says"):
        read_bodies(world.registry, "alpha", record)
    if kind == "request":
        read_lock(world.registry, "alpha", record)
    else:
        read_components(world.registry, "alpha", record)


@pytest.mark.parametrize("kind", ["request", "lock"])
def test_content_of_another_environment_is_drift_and_is_registered_again(kind: str) -> None:
    world = applied()
    put(world, swapped(world, kind))
    seen = observe(world.registry, "alpha", depth=Depth.MANIFESTS)
    assert isinstance(seen, Present)
    assert kind in seen.tampered
    world.index.move("numpy")
    edited = [wanted("alpha", ["numpy"], variables={"A": "1"}), wanted("beta", ["scipy"])]
    (step, _) = world.plan(edited).steps
    assert (step.action, [change.path for change in step.changes if change.reason is Reason.TAMPERED]) == (
        Action.REBUILD,
        [kind],
    )
    world.apply(edited)
    record = record_of(world)
    bodies = read_bodies(world.registry, "alpha", record)
    (package,) = bodies.lock.platforms[LINUX].packages
    # A lock is used where it is the record's own, whatever became of the request; another's never is.
    assert (package.name, package.version) == ("numpy", "1" if kind == "request" else "2")
    seen = observe(world.registry, "alpha", depth=Depth.BLOBS)
    assert isinstance(seen, Present)
    assert not seen.tampered


def test_facts_that_do_not_follow_from_the_content_are_refused() -> None:
    world = applied()
    record = record_of(world)
    other = Digest.of(b"other")
    for facts in (
        replace(record.facts, request=other),
        replace(record.facts, lock=other),
        replace(record.facts, components={**record.facts.components, "packages": other}),
        replace(record.facts, recipe=7),
        replace(record.facts, builder="assemble"),
    ):
        with pytest.raises(CorruptError):
            read_bodies(world.registry, "alpha", replace(record, facts=facts))


def test_a_build_key_that_does_not_follow_from_the_lock_is_refused() -> None:
    world = applied()
    record = record_of(world)
    (platform,) = record.build_keys
    with pytest.raises(CorruptError, match="build key"):
        read_bodies(world.registry, "alpha", replace(record, build_keys={platform: Digest.of(b"other")}))
    with pytest.raises(CorruptError, match="build key"):
        read_bodies(world.registry, "alpha", replace(record, build_keys={**record.build_keys, ARM: Digest.of(b"x")}))


def test_bodies_that_disagree_are_named_and_not_given() -> None:
    world = applied()
    record = swapped(world, "lock")
    present = Present(record=record, digest=put(world, record))
    assert with_bodies(world.registry, "alpha", present).bodies is None
    assert with_bodies(world.registry, "alpha", present).tampered == ("lock",)


def test_a_record_of_another_environment_is_no_record_of_this_one() -> None:
    world = applied()
    content = world.registry.fetch("beta", "current")
    assert isinstance(world.registry, MemoryRegistry)
    world.registry.blobs["alpha"] |= world.registry.blobs["beta"]
    world.registry.push("alpha", content, tags=("current",))
    seen = observe(world.registry, "alpha")
    assert isinstance(seen, Present)
    assert seen.recovered
    assert seen.record.facts.name == "alpha"
    world.registry.push("alpha", content, tags=("v1",))
    with pytest.raises(CorruptError, match="record of beta"):
        get(world.registry, Reference("alpha", 1))


def test_a_version_that_names_another_version_is_refused() -> None:
    world = applied()
    world.apply([wanted("alpha", ["numpy", "scipy"]), wanted("beta", ["scipy"])])
    world.registry.push("alpha", world.registry.fetch("alpha", "v1"), tags=("v2",))
    with pytest.raises(CorruptError, match="version 1, not 2"):
        get(world.registry, Reference("alpha", 2))


def test_an_artifact_that_another_build_key_names_is_not_taken_for_it() -> None:
    world = applied()
    before = record_of(world)
    world.apply([wanted("alpha", ["scipy"]), wanted("beta", ["scipy"])])
    (key,) = before.build_keys.values()
    (now,) = record_of(world).artifacts.values()
    world.registry.push("alpha", world.registry.fetch("alpha", now.digest), tags=(f"build-{key.hex}",))
    world.apply([wanted("alpha", ["numpy"]), wanted("beta", ["scipy"])])
    assert record_of(world).artifacts == before.artifacts
