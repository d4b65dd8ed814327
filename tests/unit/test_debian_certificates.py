"""Authorities are found by the bundle, by OpenSSL's names, and by Java."""

from __future__ import annotations

import struct
from hashlib import sha1

import pytest

from reconciler.debian.certificates import bundle_of, hashed_names, key_store, parse_certificate, subject_hash
from reconciler.debian.configure import configure, wanted
from reconciler.debian.scripts import classify
from reconciler.oci.member import file_of
from reconciler.oci.rootfs import Rootfs

# /C=DE/O=Test  Trust (Root)/CN=Ärger: two spaces, and a letter whose case is left alone.
PEM = b"""\
-----BEGIN CERTIFICATE-----
MIIByjCCAXGgAwIBAgIUdFNjbSI7WJSYTcw+FRFMVe/XU1MwCgYIKoZIzj0EAwIw
OzELMAkGA1UEBhMCREUxGzAZBgNVBAoMElRlc3QgIFRydXN0IChSb290KTEPMA0G
A1UEAwwGw4RyZ2VyMB4XDTI2MTEyOTAwNDA0OVoXDTM2MTEyNjAwNDA0OVowOzEL
MAkGA1UEBhMCREUxGzAZBgNVBAoMElRlc3QgIFRydXN0IChSb290KTEPMA0GA1UE
AwwGw4RyZ2VyMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEfMTNSje8QzBmePMW
Dn0hFiBlykhNlFu7TjzGN04mwcDqq1yu4e9r2oFptQTVDtaODUNlqCsH/aWsjFN6
XhLmBKNTMFEwHQYDVR0OBBYEFGDJGlcjAuIUejexz5MEyQ53tLqsMB8GA1UdIwQY
MBaAFGDJGlcjAuIUejexz5MEyQ53tLqsMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZI
zj0EAwIDRwAwRAIgWDOhBvufbV5V2ZdTyTcryVWjWA3iqI5A8BVC5w3tYMwCID91
0PusggHKc2cS6+FYZib7nlDAiUMN8zRbxUIcmN53
-----END CERTIFICATE-----
"""
HASH = "eab49b69"  # as openssl x509 -hash gives it
SOURCE = "usr/share/ca-certificates/mozilla/Test Trust (Root).crt"


def test_a_subject_has_the_hash_that_openssl_gives_it() -> None:
    one = parse_certificate(SOURCE, PEM)
    assert one is not None
    assert subject_hash(one.der) == HASH


def test_a_certificate_is_named_as_a_file_can_be() -> None:
    one = parse_certificate(SOURCE, PEM)
    assert one is not None
    assert one.name == "Test_Trust_=Root="


@pytest.mark.parametrize(
    "data",
    [b"", b"text", PEM + PEM, PEM.replace(b"MIIByjCC", b"AAAAAAAA"), PEM[:200], PEM.replace(b"MIIByj", b"MIIByk")],
)
def test_what_is_no_single_certificate_is_left_out(data: bytes) -> None:
    one = parse_certificate(SOURCE, data)
    assert one is None or subject_hash(one.der)


def test_one_certificate_has_one_name_and_two_of_one_subject_are_counted() -> None:
    first = parse_certificate("usr/share/ca-certificates/a.crt", PEM)
    same = parse_certificate("usr/share/ca-certificates/b.crt", PEM)
    assert first is not None
    assert same is not None
    assert hashed_names([same, first]) == {f"{HASH}.0": "a"}


def test_the_store_of_java_has_every_certificate_and_its_check_value() -> None:
    one = parse_certificate(SOURCE, PEM)
    assert one is not None
    store = key_store([one])
    assert struct.unpack(">III", store[:12]) == (0xFEEDFEED, 2, 1)
    assert one.der in store
    assert store[-20:] == sha1("changeit".encode("utf-16-be") + b"Mighty Aphrodite" + store[:-20]).digest()  # noqa: S324


def test_a_root_trusts_what_its_package_brings() -> None:
    root = Rootfs(wanted)
    root.apply([(file_of(SOURCE, PEM), iter((PEM,)))])
    verdicts = {name: classify(name, "1", {}) for name in ("ca-certificates", "ca-certificates-java")}
    files = {member.path: member for member in configure(root, verdicts, architecture="amd64")}
    bundle = files["etc/ssl/certs/ca-certificates.crt"]
    assert bundle.read is not None
    assert b"".join(bundle.read()) == PEM == bundle_of([one for one in [parse_certificate(SOURCE, PEM)] if one])
    assert files["etc/ssl/certs/Test_Trust_=Root=.pem"].target == f"/{SOURCE}"
    assert files[f"etc/ssl/certs/{HASH}.0"].target == "Test_Trust_=Root=.pem"
    assert "etc/ssl/certs/java/cacerts" in files
