"""A mirror of Debian that lies, is old, stops half-way or is gone; and what is believed of one that does not."""

from __future__ import annotations

import gzip
import lzma
import os
import socket
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from reconciler.clients.debian import mirror as debian_mirror
from reconciler.clients.debian.mirror import MAX_RELEASE, lines_of
from reconciler.clients.debian.places import Configured, Places
from reconciler.clients.debian.sources import AptSource
from reconciler.clients.http import index as http
from reconciler.clients.http.index import Http
from reconciler.debian.suites import SUITES
from reconciler.errors import BuildError, CorruptError, NotFoundError, ReconcilerError, ResolveError, UnavailableError
from reconciler.lock.system import Archive, SystemPackage
from tests.servers import Asked, Reply, serving, speaking
from tests.signed_archive import DATE, NOW, Deb, Suite, World, debian, mirror, public, sign, sign_detached, signer

BASH = Deb(name="bash", more={"Essential": "yes"})
LIBC = Deb(name="libc6", version="2.36-9", data=b"another\n" * 99, more={"Provides": "libc"})
NEWER = Deb(name="libc6", version="2.36-10")
DEBS = (BASH, LIBC)
RELEASE = "debian/dists/bookworm/InRelease"
PASSWORD = "hush-hush-4711"  # noqa: S105  # a canary
CONTENTS = b"usr/lib/x86_64-linux-gnu/libgomp.so.1 libs/libgomp1\nusr/share/a file/libgomp.so.1.gz doc/other\n"
CONTENTS += b"usr/lib32/libgomp.so.1 libs/lib32gomp1,libs/libx32gomp1\nlib/xlibgomp.so.1 libs/no\n"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once."""
    monkeypatch.setattr(http, "_BACKOFF_S", 0.0)
    monkeypatch.setattr(http, "_MAX_WAIT_S", 0.0)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Give a mirror with two packages in bookworm, and a newer one of them in its security."""
    files = debian(debs=DEBS, contents=CONTENTS)
    with mirror(tmp_path, files) as made:
        made.put("debian-security", Suite(name="bookworm-security", debs=[NEWER], until=NOW + timedelta(days=5)))
        yield made


def packages_path(world: World) -> str:
    (path,) = (path for path in world.files if path.startswith("debian/dists/bookworm/main/binary-amd64/by-hash"))
    return path


def read(world: World, *, places: Places | None = None, **more: object) -> list[tuple[str, str]]:
    offer = world.archives(places=places, **more).read("debian", "bookworm", "amd64")
    return [(one.version, one.archive) for one in offer.named("libc6")]


# -- what a mirror offers ---------------------------------------------------------------------------------------


def test_the_archives_of_a_suite_offer_their_packages_together(world: World) -> None:
    offer = world.archives().read("debian", "bookworm", "amd64")
    assert [one.name for one in offer.archives] == [
        "debian/bookworm/main",
        "debian/bookworm-updates/main",
        "debian-security/bookworm-security/main",
    ]
    assert [(one.version, one.archive) for one in offer.named("libc6")] == [
        ("2.36-9", "debian/bookworm/main"),
        ("2.36-10", "debian-security/bookworm-security/main"),
    ]
    assert [one.name for one in offer.providing("libc")] == ["libc6"]
    assert [one.name for one in offer.essential()] == ["bash"]
    assert offer.notes == ()


def test_an_archive_is_named_with_the_date_and_the_digest_of_what_was_signed(world: World) -> None:
    suite = Suite(debs=DEBS, contents=CONTENTS)
    first = world.archives().read("debian", "bookworm", "amd64").archives[0]
    assert first.date == "2026-01-08T12:00:00Z"
    assert first.digest == f"sha256:{sha256(suite.text(suite.lists())).hexdigest()}"


def test_a_release_file_with_its_signature_beside_it_says_the_same(world: World) -> None:
    first = world.archives().read("debian", "bookworm", "amd64").archives
    del world.files[RELEASE]
    world.put("debian", Suite(debs=DEBS, contents=CONTENTS, is_detached=True))
    assert world.archives().read("debian", "bookworm", "amd64").archives == first


def test_a_warm_run_reads_no_index_again(world: World) -> None:
    first = read(world)
    asked = world.asked("Packages") + world.asked("by-hash")
    assert read(world) == first
    assert world.asked("Packages") + world.asked("by-hash") == asked


def test_one_run_reads_a_suite_once(world: World) -> None:
    archives = world.archives()
    for _ in range(3):
        archives.read("debian", "bookworm", "amd64")
    assert len(world.asked("InRelease")) == 3


def test_an_index_that_was_damaged_on_the_disk_is_read_again(world: World) -> None:
    first = read(world)
    for name in world.kept:
        path = world.path / "debs" / name
        path.write_bytes(path.read_bytes()[:-5])
    assert read(world) == first


def test_indexes_are_asked_for_by_their_digest_else_by_their_name(world: World) -> None:
    read(world)
    assert world.asked("binary-amd64/Packages") == []
    for path in [path for path in world.files if "/by-hash/" in path]:
        del world.files[path]
    (world.path / "debs").rename(world.path / "old")
    assert read(world)
    assert world.asked("binary-amd64/Packages")


@pytest.mark.parametrize("packings", [("",), (".gz",), (".xz", ".gz")])
def test_every_packing_of_an_index_is_read(tmp_path: Path, packings: tuple[str, ...]) -> None:
    with mirror(tmp_path, debian(debs=DEBS, packings=packings)) as world:
        assert read(world) == [("2.36-9", "debian/bookworm/main")]


def test_packages_for_all_architectures_may_have_an_index_of_their_own(tmp_path: Path) -> None:
    debs = (*DEBS, Deb(name="tzdata", architecture="all"))
    with mirror(tmp_path, debian(debs=debs, architectures=("all", "amd64"))) as world:
        offer = world.archives().read("debian", "bookworm", "amd64")
    assert "tzdata" in {one.name for one in offer.named("tzdata")}
    assert offer.named("bash")


def test_a_mirror_may_be_a_folder(world: World) -> None:
    for path, data in world.files.items():
        file = world.path / "mirror" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    folder = (world.path / "mirror").as_uri()
    aliases = ("debian", "debian-security")
    archives = world.archives(places=Places(configured={one: Configured(mirror=f"{folder}/{one}") for one in aliases}))
    archives.fetch([LIBC.locked()])
    assert archives.read("debian", "bookworm", "amd64").named("bash")
    assert world.server.asked == []


def test_a_suite_without_updates_is_read_without_them_and_says_so(world: World) -> None:
    del world.files["debian/dists/bookworm-updates/InRelease"]
    offer = world.archives().read("debian", "bookworm", "amd64")
    assert offer.notes == ("debian/bookworm-updates is not on the mirror",)
    known = [
        Archive(alias="debian", suite="bookworm-updates", component="main", date="2026-01-01T00:00:00Z", digest="")
    ]
    with pytest.raises(NotFoundError):
        world.archives().read("debian", "bookworm", "amd64", known=known)


def test_a_suite_without_security_is_not_read(world: World) -> None:
    del world.files["debian-security/dists/bookworm-security/InRelease"]
    with pytest.raises(NotFoundError, match="the mirror of debian-security"):
        read(world)


def test_a_suite_past_the_end_of_its_support_is_worth_a_note(world: World) -> None:
    later = NOW.replace(year=int(SUITES["bookworm"].ends[:4]) + 1)
    world.put("debian-security", Suite(name="bookworm-security"))
    (note,) = world.archives(now=lambda: later).read("debian", "bookworm", "amd64").notes
    assert note.startswith(f"debian bookworm is past the end of its support ({SUITES['bookworm'].ends})")


def test_the_packages_that_have_a_file_are_told(world: World) -> None:
    found = world.archives().contents("debian", "bookworm", "amd64", ["libgomp.so.1", "libnone.so"])
    assert found == {"libgomp.so.1": ("lib32gomp1", "libgomp1", "libx32gomp1")}


# -- one that lies ----------------------------------------------------------------------------------------------


def other_key(world: World) -> None:
    world.put("debian", Suite(debs=DEBS, key="other"))


def changed_release(world: World) -> None:
    world.files[RELEASE] = world.files[RELEASE].replace(b"amd64 arm64", b"amd64 armhf")


def no_signature(world: World) -> None:
    suite = Suite(debs=DEBS)
    world.files[RELEASE] = suite.text(suite.lists())


def cut_release(world: World) -> None:
    world.files[RELEASE] = world.files[RELEASE][:-80]


def page(world: World) -> None:
    world.files[RELEASE] = b"<html>Please log in to the network</html>"


def endless_release(world: World) -> None:
    world.files[RELEASE] = world.files[RELEASE] + b"\n" * (MAX_RELEASE + 1)


def other_suite(world: World) -> None:
    world.files[RELEASE] = sign(Suite(name="trixie").text({"x": b""}))


def ended(world: World) -> None:
    world.put("debian", Suite(debs=DEBS, until=NOW - timedelta(minutes=1)))


def changed_index(world: World) -> None:
    path = packages_path(world)
    world.files[path] = lzma.compress(lzma.decompress(world.files[path]).replace(b"1.0", b"6.6"))


def cut_index(world: World) -> None:
    path = packages_path(world)
    world.files[path] = world.files[path][:-10]


def long_index(world: World) -> None:
    world.files[packages_path(world)] += b"x"


def bomb(world: World) -> None:
    world.files[packages_path(world)] = lzma.compress(b"Package: a\n" * 3_000_000)


def swapped_index(world: World) -> None:
    security = next(path for path in world.files if "bookworm-security/main/binary-amd64/by-hash" in path)
    world.files[packages_path(world)] = world.files[security]


LIES = [
    *(other_key, changed_release, no_signature, cut_release, page, endless_release, other_suite, ended),
    *(changed_index, cut_index, long_index, bomb, swapped_index),
]


@pytest.mark.threat("F10")
@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_mirror_that_lies_is_refused_in_one_line_and_nothing_is_kept(
    world: World, lie: Callable[[World], None]
) -> None:
    lie(world)
    with pytest.raises(CorruptError) as refused:
        read(world)
    text = str(refused.value)
    assert "\n" not in text
    assert "debian" in text
    assert refused.value.hint
    assert world.kept == []


@pytest.mark.threat("F10")
def test_an_index_of_the_right_size_that_says_something_else_is_refused(tmp_path: Path) -> None:
    with mirror(tmp_path, debian(debs=DEBS, packings=("",))) as world:
        path = packages_path(world)
        world.files[path] = world.files[path].replace(b"Version: 1.0", b"Version: 6.6")
        with pytest.raises(CorruptError, match="is not what the signed Release file says"):
            read(world)
        assert world.kept == []


@pytest.mark.threat("F10")
@pytest.mark.parametrize("ending", [".xz", ".gz"])
def test_an_index_that_unpacks_to_more_than_is_listed_is_cut_off(ending: str) -> None:
    pack = lzma.compress if ending == ".xz" else gzip.compress
    given: list[bytes] = []
    with pytest.raises(CorruptError, match="unpacks to more than 1000 bytes"):
        given.extend(lines_of(iter([pack(b"Package: a\n" * 3_000_000)]), f"Packages{ending}", limit=1000))
    assert len(b"".join(given)) <= 1000
    assert len(list(lines_of(iter([pack(b"a: b\n" * 200)]), f"Packages{ending}", limit=1000))) == 200


@pytest.mark.threat("F10")
def test_the_limit_of_an_index_is_the_size_that_is_listed_for_its_plain_form(tmp_path: Path) -> None:
    lists = Suite(debs=DEBS).lists()
    lists["main/binary-amd64/Packages"] = b"short"
    suite = Suite(debs=DEBS)
    files = suite.build() | {"dists/bookworm/InRelease": sign(suite.text(lists))}
    with mirror(tmp_path, debian() | {f"debian/{path}": data for path, data in files.items()}) as world:
        with pytest.raises(CorruptError, match="unpacks to more than 5 bytes"):
            read(world)
        assert world.kept == []


@pytest.mark.threat("F10")
@pytest.mark.parametrize("other", [sign_detached(b"Suite: bookworm\n"), b"", b"no signature"])
def test_a_signature_beside_a_release_file_has_to_be_of_it(world: World, other: bytes) -> None:
    del world.files[RELEASE]
    world.put("debian", Suite(debs=DEBS, is_detached=True))
    world.files["debian/dists/bookworm/Release.gpg"] = other
    with pytest.raises(CorruptError, match="dists/bookworm/Release: "):
        read(world)
    assert world.kept == []


def test_the_lies_are_no_accident_of_the_world(world: World) -> None:
    assert len(read(world)) == 2


@pytest.mark.threat("F10")
def test_a_release_file_older_than_the_one_of_the_lock_is_refused(world: World) -> None:
    known = world.archives().read("debian", "bookworm", "amd64").archives
    assert world.archives().read("debian", "bookworm", "amd64", known=known)
    world.put("debian", Suite(debs=DEBS, date=DATE - timedelta(hours=1)))
    with pytest.raises(
        CorruptError, match=r"is of 2026-01-08T11:00:00Z, and the lock was made from that of 2026-01-08T12"
    ):
        world.archives().read("debian", "bookworm", "amd64", known=known)


def test_a_release_file_that_has_ended_is_read_where_apt_is_told_to(world: World) -> None:
    ended(world)
    security = world.places.configured["debian-security"]
    for checks, matches in ((True, []), (False, ["2.36-9", "2.36-10"])):
        source = AptSource(
            uri=f"{world.server.address}/debian", suite="bookworm", components=("main",), checks_date=checks
        )
        places = Places(configured={"debian-security": security}, apt=[source])
        if not matches:
            with pytest.raises(CorruptError, match="has ended on 2026-01-10 11:59 UTC"):
                read(world, places=places)
        else:
            assert [version for version, _ in read(world, places=places)] == matches


@pytest.mark.threat("F10")
def test_where_several_mirrors_are_set_up_one_that_can_be_believed_is_found(world: World) -> None:
    changed_release(world)
    good = debian(debs=DEBS)
    world.files |= {f"good/{path}": data for path, data in good.items()}
    url = world.server.address
    sources = [
        AptSource(uri=f"{url}/{folder}", suite="bookworm", components=("main",)) for folder in ("debian", "good/debian")
    ]
    security = AptSource(uri=f"{url}/debian-security", suite="bookworm-security", components=("main",))
    assert read(world, places=Places(apt=[*sources, security]))[0] == ("2.36-9", "debian/bookworm/main")


# -- packages ---------------------------------------------------------------------------------------------------


def test_packages_are_brought_once_and_said(world: World) -> None:
    said: list[str] = []
    archives = world.archives()
    wanted = [BASH.locked(), LIBC.locked()]
    archives.fetch(wanted, tell=lambda detail, *, passing=False: said.append(f"{detail} {passing}"))
    archives.fetch(wanted)
    size = (len(BASH.data) + len(LIBC.data)) / 1e6
    assert said.pop(0) == f"2 Debian package(s) of {size:.1f} MB to fetch False"
    assert said == ["fetched 1 of 2 Debian packages True", "fetched 2 of 2 Debian packages True"]
    assert len(world.asked(".deb")) == 2
    assert (world.path / "debs" / f"{BASH.locked().sha256}.deb").read_bytes() == BASH.data


def endless(_: Asked) -> Reply:
    return 200, {"Connection": "close", "Content-Length": str(1 << 40)}, BASH.data * 400


def half(_: Asked) -> Reply:
    return 200, {"Connection": "close", "Content-Length": str(len(BASH.data))}, BASH.data[: len(BASH.data) // 2]


def failing(_: Asked) -> Reply:
    return 503, {}, b""


def refusing(_: Asked) -> Reply:
    return 403, {}, b""


def swapped(_: Asked) -> Reply:
    return 200, {}, LIBC.data[:-1] + b"!"


def short(_: Asked) -> Reply:
    return 200, {}, BASH.data[:-1]


@pytest.mark.threat("F10")
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (endless, BuildError),
        (half, UnavailableError),
        (failing, UnavailableError),
        (refusing, ReconcilerError),
        (swapped, BuildError),
        (short, BuildError),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_package_that_is_not_what_the_lock_says_is_not_kept(
    world: World, reply: Callable[[Asked], Reply], kind: type[ReconcilerError]
) -> None:
    world.replies[f"debian/{BASH.file}"] = reply
    with pytest.raises(kind) as refused:
        world.archives().fetch([BASH.locked()])
    assert "bash" in refused.value.message
    assert world.kept == []


@pytest.mark.threat("F8")
def test_a_mirror_that_stops_half_way_once_is_asked_for_the_rest(world: World) -> None:
    def once(one: Asked) -> Reply:
        if "Range" not in one.headers:
            return half(one)
        begin = int(one.headers["Range"].removeprefix("bytes=").rstrip("-"))
        rest = BASH.data[begin:]
        return 206, {"Content-Range": f"bytes {begin}-{len(BASH.data) - 1}/{len(BASH.data)}"}, rest

    world.replies[f"debian/{BASH.file}"] = once
    world.archives().fetch([BASH.locked()])
    assert len(world.kept) == 1


@pytest.mark.threat("F8")
def test_a_mirror_that_is_gone_is_said_in_one_line(world: World) -> None:
    places = Places(configured={one: Configured(mirror="http://127.0.0.1:1/debian") for one in world.places.configured})
    http_now = Http(environ={"HOME": "/nonexistent"}, timeout_s=1, limit_s=2)
    with pytest.raises(UnavailableError, match=r"^the mirror of debian \(127\.0\.0\.1:1\) does not answer: "):
        read(world, places=places, http=http_now)
    with pytest.raises(UnavailableError, match="does not answer"):
        world.archives(places=places, http=http_now).fetch([BASH.locked()])


@pytest.mark.threat("F8")
def test_a_mirror_that_says_a_release_file_too_slowly_has_an_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian_mirror, "RELEASE_LIMIT_S", 1.0)

    def trickling(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        for _ in range(200):
            connection.sendall(b"x")
            time.sleep(0.05)

    with speaking(trickling) as slow:
        places = Places(configured={one: Configured(mirror=slow.address) for one in world.places.configured})
        with pytest.raises(UnavailableError, match=r"too slowly|does not answer"):
            read(world, places=places)


# -- packages that the mirror has dropped -----------------------------------------------------------------------


def gone(world: World) -> SystemPackage:
    del world.files[f"debian/{BASH.file}"]
    return BASH.locked()


def test_a_package_that_the_mirror_has_dropped_is_named_with_what_to_do(world: World) -> None:
    with pytest.raises(BuildError) as refused:
        world.archives().fetch([gone(world)])
    text = str(refused.value)
    assert text.startswith("bash 1.0 (debian/bookworm/main) is not on the mirror any more")
    assert "`reconciler lock --upgrade-package bash` or `--upgrade-base`" in text
    assert "archives.debian.snapshot" in text


def test_a_package_that_the_mirror_has_dropped_is_taken_from_the_cache(world: World) -> None:
    world.archives().fetch([BASH.locked()])
    world.archives().fetch([gone(world)])
    assert len(world.asked(".deb")) == 1


@pytest.mark.parametrize("moment", ["20260109T120000Z", "20260108T120000Z"])
def test_a_package_that_the_mirror_has_dropped_is_taken_from_a_snapshot_of_the_locks_day(
    world: World, moment: str
) -> None:
    locked = gone(world)
    archives = world.archives().read("debian", "bookworm", "amd64").archives
    world.files[f"old/{moment}/{BASH.file}"] = BASH.data
    url = world.server.address
    places = Places(configured={"debian": Configured(mirror=f"{url}/debian", snapshot=f"{url}/old/")})
    world.archives(places=places).fetch([locked], archives=archives)
    assert (world.path / "debs" / f"{locked.sha256}.deb").read_bytes() == BASH.data


@pytest.mark.threat("F10")
def test_a_snapshot_that_lies_is_refused(world: World) -> None:
    locked = gone(world)
    archives = world.archives().read("debian", "bookworm", "amd64").archives
    world.files[f"old/20260109T120000Z/{BASH.file}"] = BASH.data[::-1]
    url = world.server.address
    places = Places(configured={"debian": Configured(mirror=f"{url}/debian", snapshot=f"{url}/old")})
    with pytest.raises(BuildError, match="the snapshots of debian"):
        world.archives(places=places).fetch([locked], archives=archives)
    assert not list((world.path / "debs").glob("*.deb"))


# -- other repositories -----------------------------------------------------------------------------------------

TOOL = Deb(name="tool")


def test_another_repository_adds_its_packages_with_its_own_key(world: World) -> None:
    (world.path / "key.asc").write_bytes(public("vendor"))
    repository = world.repository(Suite(name="stable", debs=[TOOL], key="vendor").build())
    archives = world.archives(repositories={"vendor": repository})
    offer = archives.read("debian", "bookworm", "amd64", ["vendor"])
    (found,) = offer.named("tool")
    assert found.archive == "vendor/stable/main"
    archives.fetch([TOOL.locked("vendor/stable/main")])
    assert any(name.endswith(".deb") for name in world.kept)
    del world.files[f"other/{TOOL.file}"]
    (world.path / "debs" / f"{TOOL.locked().sha256}.deb").unlink()
    with pytest.raises(BuildError, match=r"^tool 1\.0 \(vendor/stable/main\) is not on the mirror") as refused:
        archives.fetch([TOOL.locked("vendor/stable/main")])
    assert "snapshot" not in str(refused.value)


def test_what_a_repository_does_not_have_is_said(world: World) -> None:
    (world.path / "key.asc").write_bytes(public("vendor"))
    files = Suite(name="stable", debs=[TOOL], key="vendor", architectures=("arm64",)).build()
    for more, text in (({}, "no packages for amd64"), ({"suite": "old"}, "has no dists/old")):
        archives = world.archives(repositories={"vendor": world.repository(files, **more)})
        with pytest.raises(ReconcilerError, match=text):
            archives.read("debian", "bookworm", "amd64", ["vendor"])
    files = Suite(name="stable", debs=[TOOL], key="vendor").build()
    archives = world.archives(repositories={"vendor": world.repository(files, components=("contrib",))})
    with pytest.raises(ResolveError, match=r"vendor/stable has no component contrib \(it has main\)"):
        archives.read("debian", "bookworm", "amd64", ["vendor"])


@pytest.mark.threat("F10")
def test_the_key_of_the_distribution_counts_for_nothing_there(world: World) -> None:
    (world.path / "key.asc").write_bytes(public("vendor"))
    repository = world.repository(Suite(name="stable", debs=[TOOL], key="archive").build())
    with pytest.raises(
        CorruptError, match=r"the mirror of vendor .*no key that is trusted .*system_repositories\.vendor"
    ):
        world.archives(repositories={"vendor": repository}).read("debian", "bookworm", "amd64", ["vendor"])


@pytest.mark.threat("F10")
def test_the_key_of_another_repository_counts_for_nothing_in_the_distribution(world: World) -> None:
    (world.path / "key.asc").write_bytes(public("vendor"))
    repository = world.repository(Suite(name="stable", debs=[TOOL], key="vendor").build())
    world.put("debian", Suite(debs=DEBS, key="vendor"))
    with pytest.raises(CorruptError, match="the mirror of debian "):
        world.archives(repositories={"vendor": repository}).read("debian", "bookworm", "amd64", ["vendor"])


def test_a_repository_that_nobody_named_and_a_key_that_is_none_are_refused(world: World) -> None:
    with pytest.raises(ResolveError, match="no system repository is called vendor"):
        world.archives().read("debian", "bookworm", "amd64", ["vendor"])
    (world.path / "key.asc").write_bytes(b"no key")
    repository = world.repository({})
    with pytest.raises(CorruptError, match=r"key\.asc is no OpenPGP public key"):
        world.archives(repositories={"vendor": repository}).read("debian", "bookworm", "amd64", ["vendor"])


# -- credentials ------------------------------------------------------------------------------------------------


@pytest.mark.threat("T12")
def test_a_mirror_that_redirects_elsewhere_takes_no_credential_along(world: World) -> None:
    def away(one: Asked) -> Reply:
        return 302, {"Location": f"{world.server.address}{one.path}"}, b""

    with serving(away) as front:
        url = front.address.replace("://", f"://user:{PASSWORD}@")
        places = Places(configured={one: Configured(mirror=f"{url}/{one}") for one in world.places.configured})
        archives = world.archives(places=places)
        assert archives.read("debian", "bookworm", "amd64").named("bash")
        archives.fetch([BASH.locked()])
    assert front.credentials
    assert world.server.credentials == []


@pytest.mark.threat("T13")
@pytest.mark.parametrize("lie", [other_key, changed_index, ended], ids=lambda lie: lie.__name__)
def test_no_error_shows_a_mirrors_password(world: World, lie: Callable[[World], None]) -> None:
    lie(world)
    url = world.server.address.replace("://", f"://user:{PASSWORD}@")
    places = Places(configured={one: Configured(mirror=f"{url}/{one}") for one in world.places.configured})
    with pytest.raises(ReconcilerError) as refused:
        read(world, places=places)
    assert PASSWORD not in f"{refused.value} {refused.value.detail} {refused.value!r}"


def test_the_signers_of_tests_are_not_those_of_the_distribution() -> None:
    assert signer("archive").extract_certificate().fingerprint != signer("other").extract_certificate().fingerprint
    assert os.environ.get("GNUPGHOME") is None
