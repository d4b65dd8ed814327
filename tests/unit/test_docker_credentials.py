"""Credentials are found where docker and podman keep them, helpers are asked as docker does, and nothing is told."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from reconciler.clients.registry import helper
from reconciler.clients.registry.credentials import MAX_FILE, Credential, find_credential
from reconciler.clients.registry.objects import parse_object
from reconciler.errors import DeniedError

HOST = "registry.example.org:5000"
SECRET = "hush-hush-4711"  # noqa: S105  # a canary
USER = Credential(username="me", password=SECRET)


def both(user: str = "me", password: str = SECRET) -> str:
    return base64.b64encode(f"{user}:{password}".encode()).decode()


class Machine:
    """A home with docker's and podman's settings, and a folder of helpers on PATH."""

    def __init__(self, root: Path) -> None:
        self.home, self.bin, self.run = root / "home", root / "bin", root / "run"
        for folder in (self.home, self.bin, self.run):
            folder.mkdir()
        self.environ = {"HOME": str(self.home), "PATH": f"{self.bin}:{os.environ['PATH']}", "KEYRING": "open"}

    def docker(self, settings: object, folder: Path | None = None) -> Path:
        return self.write((folder or self.home / ".docker") / "config.json", json.dumps(settings).encode())

    def write(self, path: Path, data: bytes) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def helper(self, name: str, script: str, folder: Path | None = None) -> Path:
        path = (folder or self.bin) / f"docker-credential-{name}"
        self.write(path, f"#!/bin/sh\n{script}\n".encode()).chmod(0o755)
        return path

    def answering(self, name: str, user: str = "me", secret: str = SECRET) -> None:
        self.helper(name, f"cat >/dev/null; echo '{json.dumps({'Username': user, 'Secret': secret})}'")

    def find(self, host: str = HOST, *, prefix: str = "", outside: Path | None = None) -> Credential | None:
        return find_credential(self.environ, host, prefix=prefix, outside=outside)

    def refused(self, host: str = HOST, *, outside: Path | None = None) -> DeniedError:
        with pytest.raises(DeniedError) as caught:
            find_credential(self.environ, host, outside=outside)
        error = caught.value
        assert error.hint
        shown = f"{error!r} {error} {error.detail} {error.__cause__!r}"
        assert SECRET not in shown
        assert "\n" not in str(error)
        return error


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def same(found: Credential | None, wanted: Credential) -> bool:
    """Compare all but where it comes from."""
    names = ("username", "password", "identity_token", "registry_token")
    return found is not None and all(getattr(found, name) == getattr(wanted, name) for name in names)


# -- the file ---------------------------------------------------------------------------------------------------


def test_without_settings_there_is_none(machine: Machine) -> None:
    assert machine.find() is None
    assert find_credential({}, HOST) is None


@pytest.mark.parametrize("settings", [{}, {"auths": {}}, {"auths": {HOST: {}}}, {"auths": {"other": {"auth": both()}}},
                                      {"auths": None, "credsStore": None, "credHelpers": None}])  # fmt: skip
def test_settings_that_know_nothing_of_the_host_give_none(machine: Machine, settings: object) -> None:
    machine.docker(settings)
    assert machine.find() is None


@pytest.mark.parametrize("data", [b"", b" \n"])
def test_an_empty_file_is_no_settings(machine: Machine, data: bytes) -> None:
    machine.write(machine.home / ".docker/config.json", data)
    assert machine.find() is None


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        ({"auth": both()}, USER),
        ({"auth": both("me", f"a:b:{SECRET}")}, Credential(username="me", password=f"a:b:{SECRET}")),
        ({"auth": both("me", f"{SECRET}\0\0")}, USER),
        ({"auth": both("mé", "wörd")}, Credential(username="mé", password="wörd")),  # noqa: S106  # a test's own
        ({"username": "me", "password": SECRET}, USER),
        ({"username": "other", "password": "x", "auth": both()}, USER),
        ({"auth": both("me", ""), "identitytoken": SECRET}, Credential(identity_token=SECRET)),
        ({"auth": both("<token>", SECRET)}, Credential(identity_token=SECRET)),
        ({"auth": both(), "registrytoken": SECRET}, Credential(registry_token=SECRET)),
        ({"auth": both("", SECRET)}, Credential(password=SECRET)),
    ],
)
def test_each_form_of_an_entry_is_read(machine: Machine, entry: object, wanted: Credential) -> None:
    path = machine.docker({"auths": {HOST: entry}})
    found = machine.find()
    assert same(found, wanted)
    assert found is not None
    assert found.source == str(path)


@pytest.mark.parametrize("key", ["{}", "https://{}", "http://{}", "https://{}/", "https://{}/v1/", "https://{}/v2/",
                                 "https://{}/v2", "HTTPS://REGISTRY.example.org:5000/v1/"])  # fmt: skip
def test_each_spelling_of_a_host_is_that_host(machine: Machine, key: str) -> None:
    machine.docker({"auths": {key.format(HOST): {"auth": both()}}})
    assert same(machine.find(), USER)


@pytest.mark.parametrize("key", ["registry.example.org", "registry.example.org:5001", f"{HOST}.evil.example",
                                 f"a.{HOST}", f"evil.example/{HOST}", f"https://evil.example/{HOST}", f"{HOST}/other",
                                 f"me@{HOST}"])  # fmt: skip
def test_another_hosts_entry_is_not_taken(machine: Machine, key: str) -> None:
    machine.docker({"auths": {key: {"auth": both()}}})
    assert machine.find() is None


def test_the_host_as_it_is_written_comes_before_its_old_spelling(machine: Machine) -> None:
    machine.docker({"auths": {f"https://{HOST}/v1/": {"auth": both("old", "x")}, HOST: {"auth": both()}}})
    assert same(machine.find(), USER)


def test_the_closest_prefix_comes_first(machine: Machine) -> None:
    entries = {HOST: {"auth": both("host", "x")}, f"{HOST}/ml": {"auth": both("ml", "x")}}
    machine.docker({"auths": entries})
    for prefix, user in (("", "host"), ("ml", "ml"), ("ml/team", "ml"), ("mlx", "host")):
        found = machine.find(prefix=prefix)
        assert found is not None
        assert found.username == user


def test_docker_config_says_where_the_settings_are(machine: Machine, tmp_path: Path) -> None:
    machine.docker({"auths": {HOST: {"auth": both("home", "x")}}})
    machine.docker({"auths": {HOST: {"auth": both()}}}, tmp_path / "other")
    machine.environ["DOCKER_CONFIG"] = str(tmp_path / "other")
    assert same(machine.find(), USER)


def test_podmans_settings_come_after_dockers(machine: Machine, tmp_path: Path) -> None:
    entry = {"auths": {HOST: {"auth": both("run", "x")}}}
    machine.write(machine.run / "containers/auth.json", json.dumps(entry).encode())
    machine.environ["XDG_RUNTIME_DIR"] = str(machine.run)
    found = machine.find()
    assert found is not None
    assert found.username == "run"
    entry = {"auths": {HOST: {"auth": both("named", "x")}}}
    machine.environ["REGISTRY_AUTH_FILE"] = str(machine.write(tmp_path / "auth.json", json.dumps(entry).encode()))
    found = machine.find()
    assert found is not None
    assert found.username == "named"
    machine.docker({"auths": {HOST: {"auth": both()}}})
    assert same(machine.find(), USER)


@pytest.mark.parametrize("name", ["DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"])
def test_a_relative_place_for_settings_is_refused(machine: Machine, name: str) -> None:
    machine.environ[name] = ".docker"
    assert name in machine.refused().message


def broken() -> Mapping[str, bytes]:
    def settings(value: object) -> bytes:
        return json.dumps(value).encode()

    return {
        "cut": settings({"auths": {HOST: {"auth": SECRET}}})[:-2],
        "a list": settings([SECRET]),
        "twice": b'{"auths": {"%s": {}, "%s": {}}}' % (SECRET.encode(), SECRET.encode()),
        "NaN": b'{"auths": NaN}',
        "not UTF-8": b'{"auths": "\xff"}',
        "deep": b"[" * 100_000,
        "too large": b'{"x": "' + b"x" * MAX_FILE + b'"}',
        "auths a text": settings({"auths": SECRET}),
        "an entry a text": settings({"auths": {HOST: SECRET}}),
        "auth a number": settings({"auths": {HOST: {"auth": 1}}}),
        "auth not base64": settings({"auths": {HOST: {"auth": f"!{SECRET}"}}}),
        "auth without a colon": settings({"auths": {HOST: {"auth": base64.b64encode(SECRET.encode()).decode()}}}),
        "auth not UTF-8": settings({"auths": {HOST: {"auth": base64.b64encode(b"\xff:x").decode()}}}),
        "a lone surrogate": b'{"auths": {"%s": {"username": "\\ud800", "password": "x"}}}' % HOST.encode(),
        "a user with a colon": settings({"auths": {HOST: {"username": "a:b", "password": SECRET}}}),
        "helpers a list": settings({"credHelpers": [SECRET]}),
        "a helper a number": settings({"credHelpers": {HOST: 1}}),
        "a store an object": settings({"credsStore": {"x": SECRET}}),
    }


@pytest.mark.threat("T13")
@pytest.mark.parametrize("what", broken())
def test_broken_settings_are_refused_with_their_file_and_without_their_content(machine: Machine, what: str) -> None:
    path = machine.write(machine.home / ".docker/config.json", broken()[what])
    assert str(path) in str(machine.refused())


def test_settings_that_are_no_file_or_not_ours_to_read_are_refused(machine: Machine) -> None:
    path = machine.home / ".docker/config.json"
    path.mkdir(parents=True)
    machine.refused()
    path.rmdir()
    os.mkfifo(path)
    machine.refused()
    path.unlink()
    path.symlink_to(path)
    assert "symbolic links" in str(machine.refused())


def test_settings_of_other_hosts_need_not_be_right(machine: Machine) -> None:
    machine.docker({"auths": {"other": "?", HOST: {"auth": both()}}, "psFormat": 1.5})
    assert same(machine.find(), USER)


# -- helpers ----------------------------------------------------------------------------------------------------


def test_a_helper_for_the_host_comes_before_the_store_and_that_before_the_file(machine: Machine) -> None:
    settings: dict[str, object] = {"auths": {HOST: {"auth": both("file", "x")}}}
    machine.answering("store", "store")
    machine.answering("own", "own")
    users = []
    for more in ({}, {"credsStore": "store"}, {"credHelpers": {HOST: "own"}}, {"credHelpers": {HOST: ""}}):
        settings |= more
        machine.docker(settings)
        found = machine.find()
        assert found is not None
        users.append((found.username, found.source.rpartition("/")[2]))
    assert users == [("file", "config.json"), ("store", "docker-credential-store"), ("own", "docker-credential-own"),
                     ("file", "config.json")]  # fmt: skip


def test_a_helper_for_another_host_is_not_asked(machine: Machine) -> None:
    machine.docker({"credHelpers": {"other.example.org": "own"}})
    machine.helper("own", f"touch {machine.run}/asked")
    assert machine.find() is None
    assert list(machine.run.iterdir()) == []


def test_a_helper_gets_the_host_on_its_input_the_callers_environment_and_no_other_argument(machine: Machine) -> None:
    machine.docker({"credsStore": "own"})
    machine.helper("own", """read host; echo '{"Username": "'"$host $# $1 $KEYRING $PWD"'", "Secret": "x"}'""")
    found = machine.find("registry.example.org")
    assert found is not None
    assert found.username == "registry.example.org 1 get open /"


def test_an_identity_token_is_marked_by_its_user(machine: Machine) -> None:
    machine.docker({"credsStore": "own"})
    machine.answering("own", "<token>")
    assert same(machine.find(), Credential(identity_token=SECRET))


@pytest.mark.parametrize(
    "script",
    [
        "echo credentials not found in native keychain; exit 1",
        "echo 'Credentials not found' >&2; exit 2",
        """echo '{"Username": "", "Secret": ""}'""",
    ],
)
def test_a_helper_that_has_none_leaves_it_to_the_file(machine: Machine, script: str) -> None:
    machine.docker({"credsStore": "own"})
    machine.helper("own", script)
    assert machine.find() is None
    machine.docker({"credsStore": "own", "auths": {HOST: {"auth": both()}}})
    assert same(machine.find(), USER)


FAILURES = {
    "fails": f"echo {SECRET}; echo {SECRET} >&2; exit 1",
    "killed": f"echo {SECRET}; kill -9 $$",
    "rubbish": f"echo {SECRET}",
    "a list": f"echo '[\"{SECRET}\"]'",
    "a number": f'echo \'{{"Username": 1, "Secret": "{SECRET}"}}\'',
    "twice": f'echo \'{{"{SECRET}": 1, "{SECRET}": 2}}\'',
    "nothing": "exit 0",
    "a colon": f'echo \'{{"Username": "a:b", "Secret": "{SECRET}"}}\'',
    "endless": f"yes {SECRET}",
    "endless error": f"yes {SECRET} >&2",
}


@pytest.mark.threat("T13")
@pytest.mark.parametrize("what", FAILURES)
def test_a_helper_that_fails_is_named_and_not_quoted(machine: Machine, what: str) -> None:
    machine.docker({"credsStore": "own"})
    machine.helper("own", FAILURES[what])
    assert "docker-credential-own" in machine.refused().message


def test_a_helper_that_never_answers_is_ended(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helper, "LIMIT_S", 0.3)
    machine.docker({"credsStore": "own"})
    machine.helper("own", f"echo $$ >{machine.run}/id; sleep 600")
    assert "docker-credential-own was stopped after 0.3 s" in machine.refused().message
    number = int((machine.run / "id").read_text())
    for _ in range(100):
        if not Path(f"/proc/{number}").exists():
            break
        time.sleep(0.05)
    assert not Path(f"/proc/{number}").exists()


def test_a_helper_need_not_read_its_input(machine: Machine) -> None:
    machine.docker({"credsStore": "own"})
    machine.helper("own", f"""exec 0<&-; echo '{{"Username": "me", "Secret": "{SECRET}"}}'""")
    assert same(machine.find(), USER)


def test_a_helper_that_is_not_installed_is_named(machine: Machine) -> None:
    machine.docker({"credsStore": "own"})
    assert "docker-credential-own, which is not installed" in machine.refused().message
    machine.helper("own", "exit 0").chmod(0o644)
    assert "not installed" in machine.refused().message


@pytest.mark.threat("T10")
@pytest.mark.parametrize(
    "name", ["../x", "/bin/sh", "a/b", "a b", "-x", ".", "a\n", "a;b", "$(x)", "x" * 65, "é", "a\0b"]
)
def test_a_helpers_name_can_not_be_a_path_or_a_command(machine: Machine, name: str) -> None:
    machine.docker({"credsStore": name})
    assert "no program's name" in machine.refused().message


@pytest.mark.threat("T11")
@pytest.mark.parametrize("place", ["in the repository", "relative", "empty"])
def test_a_helper_that_a_repository_brings_is_not_run(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    repository = tmp_path / "repository"
    for folder in (repository, repository / "bin"):
        machine.helper("own", f"touch {machine.run}/ran", folder)
    entry = {"in the repository": str(repository / "bin"), "relative": "bin", "empty": ""}[place]
    monkeypatch.chdir(repository)
    machine.environ["PATH"] = f"{entry}:{machine.bin}"
    machine.docker({"credsStore": "own"})
    machine.refused(outside=repository)
    assert list(machine.run.iterdir()) == []


@pytest.mark.threat("T11")
def test_what_a_helper_starts_is_not_found_in_the_repository_either(machine: Machine, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    machine.write(repository / "bin/gcloud", f"#!/bin/sh\ntouch {machine.run}/ran\n".encode()).chmod(0o755)
    machine.environ["PATH"] = f"{repository}/bin:{machine.environ['PATH']}"
    machine.docker({"credsStore": "own"})
    machine.helper("own", "gcloud")
    machine.refused(outside=repository)
    assert list(machine.run.iterdir()) == []


@pytest.mark.threat("T13")
@pytest.mark.parametrize("field", ["username", "password", "identity_token", "registry_token"])
def test_a_credential_shows_nothing_but_where_it_comes_from(field: str) -> None:
    credential = Credential(source="the keyring", **{field: SECRET})
    for shown in (repr(credential), str(credential), f"{credential}", f"{[credential]}"):
        assert SECRET not in shown
        assert "the keyring" in shown


@pytest.mark.parametrize("data", [b"[]", b"1", b'"x"', b"null", b"{", b"{}x", b'{"a": Infinity}', b"{}" + b" " * 100])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"it is|a number"):
        parse_object(data, limit=50)
