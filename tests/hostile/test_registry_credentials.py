"""Where a registry over HTTP leads: its credentials go to it, and to nobody else."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import urllib3

from reconciler.clients.registry.session import Session
from reconciler.clients.registry.session import Settings as Reach
from reconciler.errors import DeniedError, NotFoundError, RegistryError, UnavailableError
from reconciler.registries.http import HttpRegistry
from tests import registry_faults as faults
from tests.conftest import Required
from tests.registry_auth import Auth, Basic, Bearer
from tests.registry_faults import Fault
from tests.registry_messages import Kind, Response
from tests.registry_server import RegistryServer, serving_registry
from tests.registry_store import Settings
from tests.remote import QUICK, logged_in, no_sleep, opened
from tests.servers import certificate
from tests.stocked import NAME, STORED, Stock, stock

PASSWORD = "hush-hush-4711"  # noqa: S105  # a canary
AUTHS: dict[str, Callable[[], Auth]] = {
    "basic": lambda: Basic(password=PASSWORD),
    "bearer": lambda: Bearer(password=PASSWORD),
}


class Site:
    """A registry that wants credentials, another host that holds the same, and who is signed in at the first."""

    def __init__(self, own: RegistryServer, other: RegistryServer, folder: Path) -> None:
        self.own, self.other = own, other
        self.config = logged_in(folder, own.address, "user", PASSWORD)
        self.held: Stock = stock(own, self.open())
        own.asked.clear()

    def open(self, **environ: str) -> HttpRegistry:
        settings = {"HOME": "/nonexistent", "DOCKER_CONFIG": str(self.config), **environ}
        return HttpRegistry(
            Session(self.own.address, environ=settings, settings=QUICK, sleep=no_sleep), "team", sleep=no_sleep
        )

    def read(self) -> bytes:
        return b"".join(self.open().fetch_blob(NAME, self.held.blob.describe()))


@pytest.fixture(params=AUTHS)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    with serving_registry(Settings(auth=AUTHS[request.param]())) as own, serving_registry(store=own.store) as other:
        yield Site(own, other, tmp_path)


def is_clean(server: RegistryServer) -> bool:
    said = "".join(f"{one.path} {one.headers}" for one in server.asked)
    return server.credentials == [] and PASSWORD not in said


# -- redirects --------------------------------------------------------------------------------------------------

READS: dict[str, Kind] = {"blob": Kind.GET_BLOB, "manifest": Kind.GET_MANIFEST, "head": Kind.HEAD_MANIFEST}


@pytest.mark.threat("T12")
@pytest.mark.parametrize("number", [301, 302, 303, 307, 308])
def test_content_elsewhere_is_read_without_credentials(site: Site, number: int) -> None:
    site.own.fault = lambda one: faults.redirect(f"{site.other.url}{one.path}", number=number)
    if isinstance(site.own.settings.auth, Bearer):
        site.own.fault = lambda one: (
            None
            if not one.credential or one.kind is Kind.TOKEN
            else faults.redirect(f"{site.other.url}{one.path}", number=number)
        )
    assert site.read() == site.held.blob.data
    assert site.open().fetch(NAME, "v1") == site.held.first
    assert site.open().resolve(NAME, "v1") == site.held.first.digest
    assert site.other.asked
    assert is_clean(site.other)


@pytest.mark.threat("T12")
def test_a_way_back_to_the_registry_has_credentials_again(site: Site) -> None:
    there = faults.redirect(f"{site.other.url}/x")
    back = faults.redirect(f"{site.own.url}/v2/{STORED}/blobs/{site.held.blob.digest}?again")
    site.own.fault = lambda one: (
        there if one.kind is Kind.GET_BLOB and one.credential and "again" not in one.path else None
    )
    site.other.fault = faults.every(back)
    assert site.read() == site.held.blob.data
    assert is_clean(site.other)


@pytest.mark.threat("T12")
@pytest.mark.parametrize("challenge", ['Basic realm="x"', 'Bearer realm="{other}/token",service="registry.test"'])
def test_what_another_host_asks_for_is_not_answered(site: Site, challenge: str) -> None:
    asks = faults.status(401, code="UNAUTHORIZED", WWW_Authenticate=challenge.format(other=site.other.url))
    site.own.fault = lambda one: faults.redirect(f"{site.other.url}{one.path}") if one.credential and one.name else None
    site.other.fault = faults.every(asks)
    with pytest.raises(DeniedError):
        site.read()
    assert is_clean(site.other)
    assert len(site.other.asked) == 1


@pytest.mark.threat("T12")
@pytest.mark.parametrize("to", [
    "http://169.254.169.254/latest/meta-data", "http://[fe80::1]/", "http://[::ffff:169.254.169.254]/",
    "http://u:p@127.0.0.1/", "http://example.org/blob", "ftp://127.0.0.1/", "file:///etc/passwd", "http://[::1/",
    "http://127.0.0.1:0/", "http://127.0.0.1:99999/", "//", "javascript:x",
])  # fmt: skip
def test_some_addresses_are_never_followed(site: Site, to: str) -> None:
    site.own.fault = lambda one: faults.redirect(to) if one.kind in READS.values() and one.credential else None
    for ask in (site.read, lambda: site.open().fetch(NAME, "v1"), lambda: site.open().resolve(NAME, "v1")):
        with pytest.raises(RegistryError) as caught:
            ask()
        assert not isinstance(caught.value, NotFoundError)
        assert "\n" not in str(caught.value)
        assert "u:p" not in str(caught.value)
        assert PASSWORD not in str(caught.value)


@pytest.mark.threat("T12")
@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("https://169.254.169.254/latest/meta-data", "link-local"),
        ("https://[fe80::1]/", "link-local"),
        ("https://[::ffff:169.254.169.254]/", "link-local"),
        ("http://example.org/blob", "over plain HTTP"),
        ("http://u:p@127.0.0.1:{port}/blob", "can't be used"),
        ("http://@127.0.0.1:{port}/blob", "can't be used"),
    ],
)
@pytest.mark.parametrize("is_upload", [False, True])
def test_what_is_not_followed_is_not_even_connected(site: Site, to: str, why: str, *, is_upload: bool) -> None:
    target = to.format(port=site.other.port)
    site.own.fault = (
        faults.every(faults.header("Location", target), Kind.START_UPLOAD)
        if is_upload
        else lambda one: faults.redirect(target) if one.kind is Kind.GET_BLOB and one.credential else None
    )
    ask = (lambda: site.open().push_blob(NAME, site.held.new)) if is_upload else site.read
    with pytest.raises(RegistryError, match=why):
        ask()
    assert site.other.asked == []


@pytest.mark.threat("T12")
def test_redirects_without_end_have_one(site: Site) -> None:
    site.own.fault = lambda one: faults.redirect(one.path) if one.credential and one.name else None
    with pytest.raises(RegistryError, match="without end"):
        site.read()
    assert site.own.kinds().count(Kind.GET_BLOB) <= 8


@pytest.mark.threat("T12")
def test_a_name_that_leads_to_a_link_local_address_is_told_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lying(socket.socket):
        """A real connection, whose other side calls itself something else."""

        def getpeername(self) -> tuple[str, int]:
            return ("169.254.169.254", 80)

    def connect(address: tuple[str, int], *_: object, **__: object) -> socket.socket:
        made = Lying(socket.AF_INET)
        made.connect(("127.0.0.1", address[1]))
        return made

    monkeypatch.setattr(urllib3.util.connection, "create_connection", connect)
    registry = HttpRegistry(
        Session(
            f"metadata.localhost:{site.own.port}",
            environ={"HOME": "/nonexistent"},
            settings=Reach(plain_http=True, timeout_s=1, limit_s=1),
            sleep=no_sleep,
        )
    )
    with pytest.raises(UnavailableError, match="link-local"):
        registry.fetch(NAME, "v1")
    assert site.own.asked == []


# -- uploads ----------------------------------------------------------------------------------------------------


def leading(location: str) -> Fault:
    """Say that an upload goes there, on the session that was begun."""

    def change(made: Response) -> Response:
        path = made.headers["Location"]
        return Response(status=made.status, headers={**made.headers, "Location": location + path})

    return faults.changed(change)


@pytest.mark.threat("T12")
def test_an_upload_elsewhere_is_sent_without_credentials(site: Site) -> None:
    site.own.fault = faults.every(leading(site.other.url), Kind.START_UPLOAD)
    site.open().push_blob(NAME, site.held.new)
    assert site.own.store.repositories[STORED].blobs[str(site.held.new.digest)] == site.held.new.data
    assert site.other.kinds(Kind.PUT_UPLOAD) == [Kind.PUT_UPLOAD]
    assert is_clean(site.other)


@pytest.mark.threat("T12")
def test_another_host_that_wants_credentials_for_an_upload_gets_none(site: Site) -> None:
    site.own.fault = faults.every(leading(site.other.url), Kind.START_UPLOAD)
    site.other.settings = site.own.settings
    with pytest.raises(DeniedError):
        site.open().push_blob(NAME, site.held.new)
    assert is_clean(site.other)


@pytest.mark.threat("T12")
@pytest.mark.parametrize(
    "to", ["http://169.254.169.254", "http://u:p@127.0.0.1:1", "http://example.org", "ftp://x", "http://[::1"]
)
def test_an_upload_is_not_sent_just_anywhere(site: Site, to: str) -> None:
    site.own.fault = faults.every(leading(to), Kind.START_UPLOAD)
    with pytest.raises(RegistryError) as caught:
        site.open().push_blob(NAME, site.held.new)
    assert "u:p" not in str(caught.value)
    assert site.own.kinds(Kind.PUT_UPLOAD) == []


@pytest.mark.threat("T12")
@pytest.mark.parametrize("kind", [Kind.START_UPLOAD, Kind.PUT_UPLOAD, Kind.PUT_MANIFEST, Kind.DELETE_MANIFEST])
def test_a_write_is_never_redirected(site: Site, kind: Kind) -> None:
    site.own.fault = lambda one: (
        faults.redirect(f"{site.other.url}{one.path}") if one.kind is kind and one.credential else None
    )
    registry, held = site.open(), site.held
    write: Callable[[], None] = {
        Kind.PUT_MANIFEST: lambda: registry.push(NAME, held.second, tags=["v2"]),
        Kind.DELETE_MANIFEST: lambda: registry.delete(NAME, "v1"),
    }.get(kind, lambda: registry.push_blob(NAME, held.new))
    with pytest.raises(RegistryError):
        write()
    assert site.other.asked == []


@pytest.mark.threat("T12")
def test_the_next_page_is_not_read_elsewhere(site: Site) -> None:
    link = faults.header("Link", f'<{site.other.url}/v2/{STORED}/tags/list?last=a>; rel="next"')
    site.own.fault = faults.every(link, Kind.TAGS)
    with pytest.raises(RegistryError, match="somewhere else"):
        site.open().tags(NAME)
    assert site.other.asked == []


# -- tokens, proxies, TLS ---------------------------------------------------------------------------------------


@pytest.mark.threat("T12")
@pytest.mark.parametrize(
    "realm",
    [
        "http://localhost:{port}/token",
        "http://127.0.0.2:{port}/token",
        "http://u@127.0.0.1:{port}/token",
        "http://169.254.169.254/token",
    ],
)
def test_no_password_goes_to_a_realm_on_another_host(tmp_path: Path, realm: str) -> None:
    with serving_registry() as other:
        auth = Bearer(password=PASSWORD, realm=realm.format(port=other.port))
        other.settings = Settings(auth=auth)
        with serving_registry(Settings(auth=auth)) as own:
            config = logged_in(tmp_path, own.address, "user", PASSWORD)
            with pytest.raises(DeniedError) as caught:
                opened(own.address, config=config).fetch(NAME, "v1")
            assert PASSWORD not in str(caught.value)
            assert is_clean(own)
        assert is_clean(other)


@pytest.mark.threat("T12")
@pytest.mark.parametrize("number", [302, 307])
def test_a_token_server_that_redirects_is_not_followed(tmp_path: Path, number: int) -> None:
    with serving_registry(Settings(auth=Bearer(password=PASSWORD))) as own, serving_registry() as other:
        config = logged_in(tmp_path, own.address, "user", PASSWORD)
        own.fault = faults.every(faults.redirect(f"{other.url}/token", number=number), Kind.TOKEN)
        with pytest.raises(RegistryError):
            opened(own.address, config=config).fetch(NAME, "v1")
        assert other.asked == []


@pytest.mark.threat("T12")
def test_a_proxy_s_password_goes_to_the_proxy_and_ours_not_past_the_registry(site: Site) -> None:
    """A proxy of plain HTTP sees what is asked; nothing of its own credentials goes on."""
    with serving_registry(store=site.own.store) as proxy:
        registry = site.open(http_proxy=f"http://me:its-own@{proxy.address}")
        assert registry.fetch(NAME, "v1") == site.held.first
        assert site.own.asked == []
        assert all(one.header("proxy-authorization") for one in proxy.asked)
        direct = site.open(http_proxy=f"http://me:its-own@{proxy.address}", no_proxy="127.0.0.1")
        assert direct.fetch(NAME, "v1") == site.held.first
    assert all(not one.header("proxy-authorization") for one in site.own.asked)


@pytest.fixture
def encrypted(tmp_path: Path, required: Required) -> Iterator[tuple[RegistryServer, RegistryServer, Path]]:
    """Serve over TLS, and the same without beside it."""
    authority, context = certificate(required.program("openssl"), tmp_path)
    with ExitStack() as stack:
        own = stack.enter_context(serving_registry(Settings(auth=Basic(password=PASSWORD)), context=context))
        plain = stack.enter_context(serving_registry(store=own.store))
        yield own, plain, authority


def trusting(server: RegistryServer, authority: Path | None, config: Path) -> HttpRegistry:
    settings = Reach(timeout_s=5, limit_s=10, authorities=(str(authority),) if authority else ())
    return opened(server.address, config=config, settings=settings)


@pytest.mark.threat("T12")
def test_nothing_is_followed_from_https_to_http(
    encrypted: tuple[RegistryServer, RegistryServer, Path], tmp_path: Path
) -> None:
    own, plain, authority = encrypted
    config = logged_in(tmp_path, own.address, "user", PASSWORD)
    registry = trusting(own, authority, config)
    held = stock(own, registry)
    own.fault = lambda one: faults.redirect(f"{plain.url}{one.path}") if one.credential else None
    for ask in (lambda: registry.fetch(NAME, "v1"), lambda: list(registry.fetch_blob(NAME, held.blob.describe()))):
        with pytest.raises(RegistryError, match="from https to http"):
            ask()
    own.fault = faults.every(leading(plain.url), Kind.START_UPLOAD)
    with pytest.raises(RegistryError, match="from https to http"):
        registry.push_blob(NAME, held.new)
    assert plain.asked == []


@pytest.mark.threat("T12")
def test_a_certificate_that_nobody_vouches_for_gets_no_credentials_and_no_second_try(
    encrypted: tuple[RegistryServer, RegistryServer, Path], tmp_path: Path
) -> None:
    own, _, _ = encrypted
    config = logged_in(tmp_path, own.address, "user", PASSWORD)
    slept: list[float] = []
    registry = opened(own.address, config=config, sleep=slept.append)
    with pytest.raises(UnavailableError, match="certificate") as caught:
        registry.fetch(NAME, "v1")
    assert "certificate_authority" in str(caught.value)
    assert (own.asked, slept) == ([], [])


@pytest.mark.threat("T12")
def test_a_certificate_of_another_host_gets_no_credentials(
    encrypted: tuple[RegistryServer, RegistryServer, Path], tmp_path: Path
) -> None:
    own, _, authority = encrypted
    config = logged_in(tmp_path, f"localhost:{own.port}", "user", PASSWORD)
    settings = Reach(timeout_s=5, limit_s=10, authorities=(str(authority),))
    with pytest.raises(UnavailableError, match=r"(?i)certificate|hostname"):
        opened(f"localhost:{own.port}", config=config, settings=settings).fetch(NAME, "v1")
    assert own.asked == []


@pytest.mark.threat("T12")
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_an_old_protocol_is_not_spoken(tmp_path: Path, required: Required) -> None:
    authority, context = certificate(required.program("openssl"), tmp_path)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with serving_registry(Settings(auth=Basic(password=PASSWORD)), context=context) as own:
        config = logged_in(tmp_path, own.address, "user", PASSWORD)
        with pytest.raises(UnavailableError):
            trusting(own, authority, config).fetch(NAME, "v1")
        assert own.asked == []
