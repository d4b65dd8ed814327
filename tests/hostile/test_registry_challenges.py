"""A registry refuses once before it is known what it wants; after that a token is fetched first."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.registry_auth import Basic, Bearer
from tests.registry_messages import Kind, Request
from tests.registry_server import RegistryServer, serving_registry
from tests.registry_store import Settings
from tests.remote import logged_in, opened

NAMES = ("alpha", "beta", "gamma", "delta")


def unsigned(server: RegistryServer) -> list[Request]:
    """Give what was asked without saying who asks, which this server refuses."""
    asked = [one for one in server.asked if one.kind is not Kind.TOKEN]
    return [one for one in asked if "authorization" not in {name.lower() for name in one.headers}]


@pytest.mark.parametrize("auth", [Bearer(), Basic()], ids=["bearer", "basic"])
def test_a_registry_refuses_once_however_many_repositories_are_asked(tmp_path: Path, auth: Basic | Bearer) -> None:
    with serving_registry(Settings(auth=auth)) as server:
        registry = opened(server.address, config=logged_in(tmp_path, server.address, "user", "secret"))
        assert [registry.resolve(name, "current") for name in NAMES] == [None] * len(NAMES)
        assert len(unsigned(server)) == 1
        manifests = server.kinds(Kind.HEAD_MANIFEST)
        assert len(manifests) == len(NAMES) + 1
        if isinstance(auth, Bearer):
            assert len(server.kinds(Kind.TOKEN)) == len(NAMES)


@pytest.mark.threat("T12")
def test_what_needs_no_token_is_still_asked_where_none_is_given(tmp_path: Path) -> None:
    with serving_registry(Settings(auth=Bearer())) as server:
        registry = opened(server.address, config=logged_in(tmp_path, server.address, "user", "secret"))
        assert registry.resolve("alpha", "current") is None
        server.settings = Settings(auth=OpenButTokenless(password="another"))  # noqa: S106  # of this server
        assert registry.resolve("beta", "current") is None
        assert len(server.kinds(Kind.TOKEN)) == 2
        assert len(unsigned(server)) == 2


class OpenButTokenless(Bearer):
    """Lets everybody in, and gives no token for this account."""

    def refusal(self, request: Request, base: str) -> None:
        """Refuse nobody."""
        del request, base
