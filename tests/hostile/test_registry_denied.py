"""What a registry over HTTP denies: neither absent nor built over; and what lets us in again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.cli.planning import Wishes, derive
from reconciler.cli.wiring import Workspace
from reconciler.errors import DeniedError, RegistryError
from reconciler.plan.observed import Absent, Denied, Present
from reconciler.reconcile.apply import apply
from reconciler.reconcile.observe import observe
from reconciler.reconcile.outcome import Status
from reconciler.registries.http import HttpRegistry
from tests.registry_auth import Bearer
from tests.registry_messages import Kind
from tests.registry_server import serving_registry
from tests.registry_store import Settings
from tests.remote import logged_in, opened
from tests.stocked import NAME, STORED, image, stock
from tests.world import MANAGER, World, wanted


def age(registry: HttpRegistry) -> None:
    """Let a minute go by for whoever keeps its tokens."""
    registry._session._authorizer._clock = lambda: time.monotonic() + 60  # noqa: SLF001  # nobody else needs to


@pytest.mark.threat("F8")
@pytest.mark.parametrize("status", [401, 403])
def test_a_first_create_works_where_what_is_not_there_is_denied(tmp_path: Path, status: int) -> None:
    with serving_registry(Settings(auth=Bearer(), unauthorized_when_absent=status)) as server:
        config = logged_in(tmp_path, server.address, "user", "secret")
        registry = opened(server.address, config=config)
        assert isinstance(observe(registry, NAME), Denied)
        registry.claim(NAME)
        assert isinstance(observe(registry, NAME), Absent)
        assert isinstance(observe(opened(server.address, config=config), "beta", claim=True), Absent)


@pytest.mark.threat("F8")
@pytest.mark.parametrize("status", [401, 403])
def test_the_whole_protocol_runs_where_what_is_not_there_is_denied(tmp_path: Path, status: int) -> None:
    with serving_registry(Settings(auth=Bearer(), unauthorized_when_absent=status)) as server:
        config = logged_in(tmp_path, server.address, "user", "secret")
        registry = opened(server.address, config=config)
        world = World(registry)
        for _ in range(2):
            derived = derive(workspace(tmp_path, registry), Wishes(), closely=True)
            outcomes = apply(derived.plan, derived.policy, world.means())
            assert not [one.error for one in outcomes if one.error]
        assert {one.status for one in outcomes} == {Status.UNCHANGED}
        assert len(world.factory.built) == 2


def workspace(root: Path, registry: HttpRegistry) -> Workspace:
    """Make a clone that declares two environments in this registry."""
    (root / "environments").mkdir(exist_ok=True)
    (root / "reconciler.yaml").write_text(f"manager: {MANAGER}\nregistry: {registry.address}\n")
    for name in ("alpha", "beta"):
        text = f"name: {name}\npython: {{pip: [{name}]}}\ndocker: {{enabled: false}}\n"
        (root / "environments" / f"{name}.yaml").write_text(text)
    found = Workspace(root=root)
    vars(found)["opened"] = registry
    return found


@pytest.mark.threat("F8")
def test_where_a_repository_has_to_exist_first_the_command_is_named() -> None:
    with serving_registry(Settings(must_exist_first=True)) as server:
        registry, made = opened(server.address), image("a")
        writes: tuple[Callable[[], None], ...] = (
            lambda: registry.claim(NAME),
            lambda: registry.push_blob(NAME, made.blobs[0]),
            lambda: registry.push(NAME, made.manifest, tags=["v1"]),
        )
        for write in writes:
            with pytest.raises(RegistryError, match="does not make one") as caught:
                write()
            assert f"create the repository {STORED}" in str(caught.value)
        server.store.create(STORED)
        registry.claim(NAME)


@pytest.mark.threat("F8")
def test_a_token_that_expires_amid_a_run_is_renewed_once(tmp_path: Path) -> None:
    auth = Bearer()
    with serving_registry(Settings(auth=auth)) as server:
        config = logged_in(tmp_path, server.address, "user", "secret")
        registry = opened(server.address, config=config)
        held = stock(server, registry)
        age(registry)
        auth.expire_all()
        server.asked.clear()
        assert registry.fetch(NAME, "v1") == held.first
        assert registry.resolve(NAME, "current") == held.first.digest
        registry.push(NAME, held.second, tags=["current"])
        assert server.kinds(Kind.TOKEN) == [Kind.TOKEN]


@pytest.mark.threat("F8")
@pytest.mark.parametrize("what", ["a token that is refused", "an account that is refused", "rights that are taken"])
def test_what_is_denied_amid_a_run_builds_nothing(tmp_path: Path, what: str) -> None:
    auth = Bearer()
    with serving_registry(Settings(auth=auth)) as server:
        config = logged_in(tmp_path, server.address, "user", "secret")
        world = World(opened(server.address, config=config))
        world.apply([wanted("alpha")])
        world.factory.built.clear()
        auth.expire_all()
        if what == "a token that is refused":
            auth.good_for_s = -1
        elif what == "an account that is refused":
            auth.password = "another"  # noqa: S105  # of this server
        else:
            auth.granted = lambda _name, _action: False
        again = World(opened(server.address, config=config), index=world.index, factory=world.factory)
        found = observe(again.registry, "alpha")
        assert isinstance(found, Denied), found
        writes = len([one for one in server.writes if one.kind is Kind.PUT_MANIFEST])
        try:
            outcomes = again.apply([wanted("alpha", ["numpy", "scipy"])])
        except RegistryError as error:
            assert isinstance(error, DeniedError)  # noqa: PT017  # either is well
        else:
            assert {one.status for one in outcomes} <= {Status.BLOCKED, Status.FAILED}
        assert world.factory.built == []
        assert len([one for one in server.writes if one.kind is Kind.PUT_MANIFEST]) == writes
        auth.good_for_s, auth.password, auth.granted = 3600, "secret", lambda _name, _action: True
        assert isinstance(observe(opened(server.address, config=config), "alpha"), Present)
