"""Wheels from an index that lies, stalls, stops halfway or leads elsewhere: what the lock says arrives, or one line."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import pytest

from reconciler.builders.fetcher import WheelFetcher
from reconciler.clients.http import index as http
from reconciler.clients.uv import Uv
from reconciler.errors import BuildError, DeniedError, NotFoundError, ReconcilerError, SourceError, UnavailableError
from reconciler.executors.threads import Threads
from reconciler.lock.model import Package
from reconciler.store.wheels import WheelStore
from tests.servers import Asked, Reply, Server, serving
from tests.simple_index import SimpleIndex

SECRET = "hunter2-the-secret"  # noqa: S105  # what must not go elsewhere
OTHER = "team"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_BACKOFF_S", 0.01)
    monkeypatch.setattr(http, "_MAX_WAIT_S", 0.02)


@dataclass
class World:
    """A folder with an index, and what is asked of it."""

    path: Path
    index: SimpleIndex = field(init=False)

    def __post_init__(self) -> None:
        self.index = SimpleIndex(self.path / "index")

    def package(self, name: str = "alpha", source: str = f"index:{OTHER}") -> Package:
        data = self.index.wheel(name, "1").read_bytes()
        digest = sha256(data).hexdigest()
        return Package(
            name=name, version="1", file=f"{name}-1-py3-none-any.whl", size=len(data), sha256=digest, source=source
        )

    @property
    def store(self) -> WheelStore:
        return WheelStore(path=self.path / "wheels")

    def fetch(self, *packages: Package, address: str = "", **environ: str) -> None:
        fetcher = WheelFetcher(
            store=self.store,
            uv=Uv(environ=self.index.environ(**environ)),
            executor=Threads(4),
            sources={OTHER: address or self.index.address},
            repository=self.path / "repository",
        )
        fetcher.fetch(packages)

    def holds(self, package: Package) -> bool:
        with contextlib.suppress(NotFoundError), self.store.open(package.sha256) as file:
            return sha256(file.read()).hexdigest() == package.sha256
        return False

    @property
    def left(self) -> list[str]:
        folder = self.path / "wheels"
        return sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@contextlib.contextmanager
def answering(world: World, file: Callable[[Asked, Reply], Reply]) -> Iterator[Server]:
    """Serve the index; ``file`` changes what is answered for a wheel."""

    def reply(asked: Asked) -> Reply:
        plain = world.index.reply(asked)
        return file(asked, plain) if asked.path.startswith("/files/") else plain

    with serving(reply) as server:
        yield server


def plain(_: Asked, reply: Reply) -> Reply:
    return reply


# -- what arrives -----------------------------------------------------------------------------------------------


def test_wheels_come_from_the_index_that_the_lock_names(world: World) -> None:
    packages = [world.package(name) for name in ("alpha", "beta", "gamma")]
    with answering(world, plain) as server:
        world.fetch(*packages, address=f"{server.address}/simple")
        asked = len(server.asked)
        world.fetch(*packages, address=f"{server.address}/simple")
    assert all(world.holds(package) for package in packages)
    assert asked == len(server.asked)  # what is there is not asked for again


def test_wheels_come_from_the_machines_own_indexes(world: World) -> None:
    package = world.package(source="index:default")
    world.fetch(package)
    assert world.holds(package)


def test_wheels_come_from_a_folder_of_files(world: World) -> None:
    package = world.package(source="index:default")
    world.fetch(package, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(world.index.root / "files"), PIP_INDEX_URL="")
    assert world.holds(package)


def test_wheels_come_from_an_address_and_from_the_repository(world: World) -> None:
    direct, own = world.package("alpha"), world.package("beta")
    (world.path / "repository").mkdir()
    (world.path / "repository/beta.whl").write_bytes((world.index.root / "files" / own.file).read_bytes())
    own = replace(own, source="path:beta.whl")
    with answering(world, plain) as server:
        direct = replace(direct, source=f"url:{server.address}/files/{direct.file}")
        world.fetch(direct, own)
    assert world.holds(direct)
    assert world.holds(own)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_connection_that_breaks_off_is_taken_up_again(world: World, *, ranges: bool) -> None:
    package = world.package()
    count = iter(range(10))

    def halting(asked: Asked, reply: Reply) -> Reply:
        status, headers, body = reply
        if next(count) == 0:
            return status, {**headers, "Content-Length": str(len(body))}, body[: len(body) // 2]
        begin = asked.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-")
        if not ranges or begin == "0":
            return reply
        part = body[int(begin) :]
        return 206, {**headers, "Content-Range": f"bytes {begin}-{len(body) - 1}/{len(body)}"}, part

    with answering(world, closing(halting)) as server:
        world.fetch(package, address=f"{server.address}/simple")
    assert world.holds(package)


def closing(file: Callable[[Asked, Reply], Reply]) -> Callable[[Asked, Reply], Reply]:
    def reply(asked: Asked, plain: Reply) -> Reply:
        status, headers, body = file(asked, plain)
        return status, {**headers, "Connection": "close"}, body

    return reply


# -- what does not ----------------------------------------------------------------------------------------------

LIES: dict[str, tuple[Callable[[Asked, Reply], Reply], type[ReconcilerError], str]] = {
    "other bytes": (lambda _, r: (200, r[1], b"x" * len(r[2])), BuildError, "another file than the lock says"),
    "longer": (lambda _, r: (200, r[1], r[2] + b"x"), BuildError, "longer than"),
    "shorter": (lambda _, r: (200, r[1], r[2][:-1]), BuildError, "ends 1 bytes before"),
    "empty": (lambda _, r: (200, r[1], b""), BuildError, "before the"),
    "a page": (lambda _, r: (200, r[1], b"<html>sign in</html>"), BuildError, "before the"),
    "gone": (lambda _, __: (404, {}, b""), NotFoundError, "no such page"),
    "refused": (lambda _, __: (403, {}, b""), DeniedError, "refuses"),
    "failing": (lambda _, __: (500, {}, b""), UnavailableError, "status 500"),
    "too many": (lambda _, __: (429, {"Retry-After": "0"}, b""), UnavailableError, "status 429"),
    "teapot": (lambda _, __: (418, {}, b""), UnavailableError, "status 418"),
    "part that nobody asked for": (lambda _, r: (206, r[1], r[2]), UnavailableError, "status 206"),
    "redirected for ever": (
        lambda asked, _: (302, {"Location": asked.path}, b""),
        UnavailableError,
        "redirects without end",
    ),
    "redirected to a file": (lambda _, __: (302, {"Location": "file:///etc/passwd"}, b""), UnavailableError, "address"),
    "redirected to the machine's own secrets": (
        lambda _, __: (302, {"Location": "http://169.254.169.254/latest"}, b""),
        UnavailableError,
        "link-local",
    ),
}


@pytest.mark.threat("T12")
@pytest.mark.parametrize("lie", sorted(LIES))
def test_an_index_that_lies_or_fails_is_one_line_that_names_the_wheel_and_leaves_nothing(
    world: World, lie: str
) -> None:
    package = world.package()
    file, kind, said = LIES[lie]
    with answering(world, closing(file)) as server, pytest.raises(kind, match=said) as refused:
        world.fetch(package, address=f"http://user:{SECRET}@127.0.0.1:{server.port}/simple")
    assert package.file in refused.value.message
    assert "\n" not in refused.value.message
    assert SECRET not in f"{refused.value}"
    assert world.left == []


def test_a_wheel_that_stops_halfway_each_time_is_one_line(world: World) -> None:
    package = world.package()

    def halting(_: Asked, reply: Reply) -> Reply:
        return 200, {**reply[1], "Content-Length": str(len(reply[2]))}, reply[2][:20]

    with (
        answering(world, closing(halting)) as server,
        pytest.raises(UnavailableError, match="does not answer") as refused,
    ):
        world.fetch(package, address=f"{server.address}/simple")
    assert package.file in refused.value.message
    assert world.left == []


def test_a_file_that_the_index_has_under_another_hash_is_not_even_asked_for(world: World) -> None:
    package = replace(world.package(), sha256="0" * 64)
    with answering(world, plain) as server, pytest.raises(NotFoundError, match="another file there"):
        world.fetch(package, address=f"{server.address}/simple")
    assert not [one for one in server.asked if one.path.startswith("/files/")]


def test_a_wheel_that_is_not_there_is_named_with_what_to_do(world: World) -> None:
    package = replace(world.package(), file="alpha-2-py3-none-any.whl")
    with pytest.raises(NotFoundError, match=r"alpha-2-py3-none-any\.whl is not on the package index `team`") as refused:
        world.fetch(package)
    assert "lock --upgrade-package alpha" in (refused.value.hint or "")


def test_a_source_distribution_is_refused(world: World) -> None:
    with pytest.raises(BuildError, match="alpha-1"):
        world.fetch(world.package(source=f"built:alpha-1.tar.gz@sha256:{'0' * 64}"))


def test_a_wheel_of_the_repository_that_is_gone_is_one_line(world: World) -> None:
    with pytest.raises(SourceError, match=r"alpha-1.*No such file"):
        world.fetch(world.package(source="path:gone.whl"))


# -- credentials ------------------------------------------------------------------------------------------------


@pytest.mark.threat("T12")
def test_the_credential_of_an_index_goes_to_its_own_files(world: World) -> None:
    package = world.package()
    with answering(world, plain) as server:
        world.fetch(package, address=f"http://user:{SECRET}@127.0.0.1:{server.port}/simple")
    assert len(server.credentials) == len(server.asked) == len(("the page", "the wheel"))


@pytest.mark.threat("T12")
@pytest.mark.parametrize("redirected", [True, False])
def test_the_credential_of_an_index_goes_to_no_other_host(world: World, *, redirected: bool) -> None:
    package = world.package()
    with answering(world, plain) as other:

        def moved(_: Asked, __: Reply) -> Reply:
            return 302, {"Location": f"{other.address}/files/{package.file}"}, b""

        if not redirected:
            world.index.entries["alpha"][0]["url"] = f"{other.address}/files/{package.file}"
        with answering(world, moved) as server:
            world.fetch(package, address=f"http://user:{SECRET}@127.0.0.1:{server.port}/simple")
    assert world.holds(package)
    assert len(other.asked) == 1
    assert other.credentials == []
