"""A credential that a manifest names is found on the machine, goes to its own registry alone, and is never shown."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

import pytest

from reconciler.clients.registry.credentials import Credential
from reconciler.clients.registry.named import missing, named_credential
from reconciler.clients.registry.session import Session, Settings
from reconciler.errors import DeniedError

HOST = "registry.example.org:5000"
SECRET = "hush-hush-4712"  # noqa: S105  # a canary
STEM = "RECONCILER_CREDENTIAL_REGISTRY_READER_2"
BOTH = {f"{STEM}_USERNAME": "me", f"{STEM}_PASSWORD": SECRET}


def found(environ: Mapping[str, str], name: str = "registry-reader.2") -> tuple[str, str] | None:
    credential = named_credential(environ, name, HOST)
    return None if credential is None else (credential.username, credential.password)


def test_a_name_is_two_variables() -> None:
    assert found(BOTH) == ("me", SECRET)
    assert found(BOTH, "other") is None
    assert found({}) is None


def test_a_variable_holds_both() -> None:
    assert found({"LOGIN": f"me:{SECRET}:x"}, "${LOGIN}") == ("me", f"{SECRET}:x")
    assert found({}, "${LOGIN}") is None


@pytest.mark.threat("T12")
@pytest.mark.parametrize("host", [HOST, HOST.upper()])
def test_a_credential_may_be_held_to_one_host(host: str) -> None:
    assert found({**BOTH, f"{STEM}_HOST": host}) == ("me", SECRET)
    with pytest.raises(DeniedError, match="is not for registry") as refused:
        found({**BOTH, f"{STEM}_HOST": "other.example.org"})
    assert SECRET not in str(refused.value)


@pytest.mark.threat("T13")
@pytest.mark.parametrize(
    ("environ", "name", "said"),
    [
        ({f"{STEM}_USERNAME": "me"}, "registry-reader.2", f"set {STEM}_PASSWORD"),
        ({f"{STEM}_PASSWORD": SECRET}, "registry-reader.2", f"set {STEM}_USERNAME"),
        ({**BOTH, f"{STEM}_USERNAME": "a:b"}, "registry-reader.2", "a colon"),
        ({"LOGIN": SECRET}, "${LOGIN}", "set LOGIN to USER:PASSWORD"),
        ({"LOGIN": f":{SECRET}"}, "${LOGIN}", "set LOGIN to USER:PASSWORD"),
    ],
)
def test_half_a_credential_is_refused_and_not_shown(environ: Mapping[str, str], name: str, said: str) -> None:
    with pytest.raises(DeniedError) as refused:
        found(environ, name)
    assert said in str(refused.value)
    assert SECRET not in str(refused.value)


def test_what_is_nowhere_says_what_to_set() -> None:
    said = str(missing("registry-reader.2", HOST))
    assert f"set {STEM}_USERNAME and {STEM}_PASSWORD" in said
    assert "\n" not in said
    assert "set LOGIN to USER:PASSWORD" in str(missing("${LOGIN}", HOST))


def test_a_name_comes_before_what_docker_has_and_falls_back_to_it(tmp_path: Path) -> None:
    auth = base64.b64encode(b"docker:docker").decode()
    (folder := tmp_path / "docker").mkdir()
    (folder / "config.json").write_text(f'{{"auths": {{"{HOST}": {{"auth": "{auth}"}}}}}}')
    environ = {**BOTH, "DOCKER_CONFIG": str(folder)}

    def credential(environ: Mapping[str, str]) -> Credential | None:
        session = Session(HOST, environ=environ, settings=Settings(credential="registry-reader.2"))
        return session.credential()

    assert (credential(environ) or Credential()).username == "me"
    assert (credential({"DOCKER_CONFIG": str(folder)}) or Credential()).username == "docker"
    with pytest.raises(DeniedError, match="not set on this machine"):
        credential({})
