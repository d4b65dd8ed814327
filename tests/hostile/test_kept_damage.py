"""A registry that keeps what it has under a digest, also where that is damaged: most do."""

from __future__ import annotations

import pytest

from reconciler.errors import CorruptError
from reconciler.oci.descriptor import Blob
from reconciler.plan.change import Action
from reconciler.plan.planner import plan
from reconciler.reconcile.apply import apply
from reconciler.reconcile.observe import Depth
from reconciler.reconcile.outcome import Status
from reconciler.reconcile.survey import Sight, survey
from reconciler.registries.memory import MemoryRegistry
from reconciler.values.digest import Digest
from tests.world import Mortal, World, revision, wanted


class Keeping(Mortal):
    """Takes no blob that it has, whatever its bytes are now."""

    def push_blob(self, repository: str, blob: Blob, *, mount_from: str | None = None) -> None:
        assert isinstance(self.inner, MemoryRegistry)
        if blob.digest not in self.inner.blobs.get(repository, {}):
            super().push_blob(repository, blob, mount_from=mount_from)


@pytest.mark.threat("F11")
@pytest.mark.parametrize("what", [b'{"inputs":', b'{"components":', b'{"key":'])
def test_damage_that_a_registry_keeps_is_an_error_and_not_called_applied(what: bytes) -> None:
    memory = MemoryRegistry(remote=True)
    world = World(Keeping(memory))
    desired = [wanted("training")]
    world.apply(desired)
    blobs = memory.blobs["training"]
    damaged = next(digest for digest, data in blobs.items() if data.startswith(what))
    blobs[damaged] = blobs[damaged][:-1] + b"?"
    observed = survey(world.registry, desired, ("training",), world.executor, sight=Sight(depth=Depth.MANIFESTS))
    found = plan(desired, observed, world.policy(), revision("a" * 40))
    assert found.steps[0].action is Action.REBUILD
    (outcome,) = apply(found, world.policy(), world.means())
    assert outcome.status is Status.FAILED
    assert isinstance(outcome.error, CorruptError)
    assert "doctor training" in str(outcome.error)
    assert Digest.of(blobs[damaged]) != damaged
