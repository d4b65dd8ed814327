"""Wheels that were built from source, in a registry: what is believed, what is written, and under which keys."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest

from reconciler.assembly.built import BuiltWheel
from reconciler.assembly.key import wheel_key
from reconciler.errors import CorruptError, DeniedError, UnavailableError
from reconciler.lock.model import Package
from reconciler.oci import media
from reconciler.oci.descriptor import Content
from reconciler.oci.image import side_entry
from reconciler.reconcile.images import push_image
from reconciler.reconcile.wheels import REPOSITORY, RegistryWheels, wheel_tag
from reconciler.record.wheel import WheelEntry, parse_wheel_image, to_wheel_image, wheel_blob
from reconciler.registries.memory import MemoryRegistry
from reconciler.values.digest import Digest
from reconciler.values.platform import Platform

KEY = Digest.of(b"key")
PACKAGE = Package(name="gamma", version="2", file="gamma-2.tar.gz", size=10, sha256="0" * 64)


def wheel(data: bytes = b"a wheel", file: str = "gamma-2-py3-none-any.whl") -> BuiltWheel:
    return BuiltWheel(file=file, sha256=sha256(data).hexdigest(), size=len(data), read=lambda: iter([data]))


def kept(registry: MemoryRegistry, manager: str = "ours") -> RegistryWheels:
    return RegistryWheels(registry=registry, manager=manager)


def test_what_is_kept_is_found_with_its_bytes() -> None:
    registry = MemoryRegistry()
    assert kept(registry).find(KEY) is None
    kept(registry).keep(KEY, wheel())
    found = kept(registry).find(KEY)
    assert found == wheel()
    assert found is not None
    assert b"".join(found.read()) == b"a wheel"
    assert registry.tags(REPOSITORY) == (wheel_tag(KEY, "ours"),)


def test_the_first_counts_and_the_second_writes_nothing() -> None:
    registry = MemoryRegistry()
    kept(registry).keep(KEY, wheel(b"first"))
    assert kept(registry).keep(KEY, wheel(b"second")) == wheel(b"first")
    assert not registry.has_blob(REPOSITORY, wheel_blob(wheel(b"second").sha256, len(b"second")))
    assert kept(registry).keep(KEY, wheel(b"third"), anew=True) == wheel(b"third")
    assert kept(registry).find(KEY) == wheel(b"third")


def test_managers_have_wheels_of_their_own() -> None:
    registry = MemoryRegistry()
    kept(registry, "theirs").keep(KEY, wheel(b"theirs"))
    assert kept(registry).find(KEY) is None
    kept(registry).keep(KEY, wheel(b"ours"))
    assert kept(registry, "theirs").find(KEY) == wheel(b"theirs")


@pytest.mark.threat("T8")
@pytest.mark.parametrize(
    "planted",
    [
        {"manager": "theirs"},
        {"key": Digest.of(b"another key")},
    ],
)
def test_what_says_that_it_is_another_s_is_not_believed_and_made_good(planted: dict[str, object]) -> None:
    registry = MemoryRegistry()
    kept(registry).keep(KEY, wheel())
    evil = wheel(b"evil")
    entry = WheelEntry(file=evil.file, key=KEY, manager="ours", blob=wheel_blob(evil.sha256, evil.size))
    image = to_wheel_image(replace(entry, **planted), evil.read)  # type: ignore[arg-type]  # what a row says
    push_image(registry, REPOSITORY, image, wheel_tag(KEY, "ours"))
    assert kept(registry).find(KEY) is None
    assert kept(registry).keep(KEY, wheel()) == wheel()
    assert kept(registry).find(KEY) == wheel()


def test_what_is_no_wheel_counts_as_not_there() -> None:
    registry = MemoryRegistry()
    image = side_entry(media.LOCK, b"{}")
    push_image(registry, REPOSITORY, image, wheel_tag(KEY, "ours"))
    assert kept(registry).find(KEY) is None
    with pytest.raises(CorruptError, match="holds no wheel"):
        parse_wheel_image(image.manifest)


def test_a_key_that_is_no_digest_is_no_wheel() -> None:
    entry = WheelEntry(file="x", key=KEY, manager="ours", blob=wheel_blob("0" * 64, 1))
    data = to_wheel_image(entry, lambda: iter([b""])).manifest.data.replace(str(KEY).encode(), b"sha256:0")
    with pytest.raises(CorruptError, match="built wheel"):
        parse_wheel_image(Content(media_type=media.MANIFEST, data=data))


class Denying(MemoryRegistry):
    """Denies what is not there, until it is claimed, as some registries do."""

    claimed = False

    def fetch(self, repository: str, reference: str | Digest) -> Content:
        if not self.claimed:
            raise DeniedError("denied")
        return super().fetch(repository, reference)

    def claim(self, repository: str) -> None:
        super().claim(repository)
        self.claimed = True


def test_a_registry_that_denies_what_is_not_there_is_asked_again() -> None:
    registry = Denying()
    assert kept(registry).find(KEY) is None
    kept(registry).keep(KEY, wheel())
    assert kept(registry).find(KEY) == wheel()


class Silent(MemoryRegistry):
    """Does not answer."""

    def fetch(self, repository: str, reference: str | Digest) -> Content:
        del repository, reference
        raise UnavailableError("no answer")


@pytest.mark.threat("F8")
def test_a_registry_without_an_answer_is_not_one_without_a_wheel() -> None:
    with pytest.raises(UnavailableError):
        kept(Silent()).find(KEY)


def test_keys_say_what_went_in() -> None:
    amd64 = (Platform("linux", "amd64"), "glibc 2.36")
    keys = [
        wheel_key(PACKAGE, python="3.11"),
        wheel_key(PACKAGE, python="3.12"),
        wheel_key(replace(PACKAGE, sha256="1" * 64), python="3.11"),
        wheel_key(PACKAGE, python="3.11", compiled_for=amd64),
        wheel_key(PACKAGE, python="3.11", compiled_for=(Platform("linux", "arm64"), "glibc 2.36")),
        wheel_key(PACKAGE, python="3.11", compiled_for=(amd64[0], "glibc 2.28")),
    ]
    assert len(set(keys)) == len(keys)
    assert wheel_key(replace(PACKAGE, name="other", source="built:x"), python="3.11") == keys[0]


def test_the_form_of_keys_and_manifests_is_fixed() -> None:
    """They are in users' registries: another digest here builds every wheel again."""
    pure, compiled = (
        wheel_key(PACKAGE, python="3.11", compiled_for=what)
        for what in (None, (Platform("linux", "amd64"), "glibc 2.36"))
    )
    entry = WheelEntry(file="gamma-2-py3-none-any.whl", key=pure, manager="ours", blob=wheel_blob("0" * 64, 7))
    manifest = to_wheel_image(entry, lambda: iter([b""])).manifest
    assert parse_wheel_image(manifest) == entry
    assert [digest.hex[:16] for digest in (pure, compiled, manifest.digest)] == [
        "ad3b59fd8a103af2",
        "062dea10bd0966d3",
        "6bd290f8d33f1c00",
    ]
    assert wheel_tag(pure, "ours") == "built-63239df1701aee975db3e9f18ec12208b2a57c863f988d69238fde8d0bb936b8"
