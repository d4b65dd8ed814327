"""What is solved for on another environment: all of it stands in that one's lock."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.errors import ResolveError
from reconciler.lock.model import Base, Lock
from reconciler.manifest.desired import Desired
from reconciler.manifest.model import Docker, Python
from reconciler.resolvers.stacked import targets_on
from reconciler.resolvers.target import Target
from tests.planning import AMD, ARM, desired, digest, lock_of, manifest, package

BOTH = (AMD, ARM)
LOW = desired(manifest("low", platforms=BOTH))
PIP = package("pip", "24.0")


def low_lock(version: str = "3.11.2", accounts: str = "root:x:0:0::/root:/bin/sh\n") -> Lock:
    plain = lock_of(LOW, package("numpy", "2.0.0"), PIP)
    base = Base(image="oci:x", digest=str(digest("x")), python="usr/bin/python3.11", links={"lib": "usr/lib"})
    parts = {
        platform: replace(
            part,
            interpreter=replace(part.interpreter, version=version),
            observed={"idna": "3.3"},
            base=replace(base, passwd=accounts),
        )
        for platform, part in plain.platforms.items()
    }
    return replace(plain, platforms=parts)


def upper(low: Desired = LOW, python: Python | None = None) -> Desired:
    return desired(replace(manifest("mid", platforms=BOTH), python=python or Python()), below=low)


def targets(one: Desired, lock: Lock | None = None) -> dict[str, Target]:
    found = targets_on(one, lock or low_lock(), ("pip",))
    return {str(target.platform): target for target in found}


def test_interpreter_library_and_links_are_those_below() -> None:
    lock = low_lock()
    for platform in BOTH:
        target, part = targets(upper())[str(platform)], lock.platforms[platform]
        assert (target.interpreter, target.libc) == (part.interpreter, part.libc)
        assert target.base is not None
        assert part.base is not None
        assert (target.base.python, target.base.links) == (part.base.python, part.base.links)
        assert (target.base.image, target.base.digest) == ("environment:low", str(part.digest))


def test_what_is_below_is_installed_and_pip_is_not_put_in_again() -> None:
    target = targets(upper())["linux/amd64"]
    assert (dict(target.installed), target.required) == ({"idna": "3.3", "numpy": "2.0.0", "pip": "24.0"}, ())


def test_ignore_sees_nothing_of_it() -> None:
    target = targets(upper(python=Python(base_packages="ignore")))["linux/amd64"]
    assert (dict(target.installed), target.required) == ({}, ("pip",))


def test_the_account_that_is_made_below_is_there() -> None:
    low = desired(replace(LOW.manifest, docker=Docker(user="ml")))
    base = targets(upper(low))["linux/amd64"].base
    assert base is not None
    assert "ml:x:1000:1000::/home/ml:/bin/sh" in base.passwd


@pytest.mark.parametrize("version", ["3.11", "3.11.2", "3.12.1"])
def test_a_python_that_is_not_written_is_the_one_below(version: str) -> None:
    assert targets(upper(), low_lock(version))["linux/amd64"].interpreter.version == version


def test_another_python_than_the_one_below_is_an_error_at_its_line() -> None:
    with pytest.raises(ResolveError, match=r"low has Python 3\.11\.2, and the manifest says 3\.12"):
        targets(upper(python=Python(version="3.12")))


def test_a_lock_below_without_an_image_or_a_platform_is_an_error() -> None:
    for lock in (lock_of(LOW), replace(low_lock(), platforms={AMD: low_lock().platforms[AMD]})):
        with pytest.raises(ResolveError, match="there is no image of low for linux/"):
            targets(upper(), lock)
