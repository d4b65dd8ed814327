"""Tokens are fetched once, kept as long as they last, and credentials go where they may go and nowhere else."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import pytest

from reconciler.clients.registry.credentials import Credential
from reconciler.clients.registry.realm import check_realm, parse_host
from reconciler.clients.registry.tokens import EARLY_S, MAX_LIFETIME_S, YOUNG_S, Authorizer, Reply
from reconciler.errors import CorruptError, DeniedError, ReconcilerError, RegistryError, UnavailableError

HOST = "registry.example.org"
REALM = "https://auth.example.org/token"
SECRET = "hush-hush-4711"  # noqa: S105  # a canary
PULL, PUSH = "repository:ml/training:pull", "repository:ml/training:pull,push"
USER = Credential(username="me", password=SECRET, source="the keyring")
BASIC = "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()


def scopes(*names: str) -> frozenset[str]:
    return frozenset(names)


def bearer(realm: str = REALM, **more: str) -> list[str]:
    return [
        "Bearer " + ",".join(f'{name}="{value}"' for name, value in {"realm": realm, "service": "r", **more}.items())
    ]


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Asked:
    """One request to the token server."""

    method: str
    url: str
    headers: Mapping[str, str]
    form: Mapping[str, list[str]]


@dataclass
class Server:
    """A token server in a function: numbered tokens, a status for a login, whatever else the answer holds."""

    status: Callable[[Mapping[str, str]], int] = lambda _: 200
    answer: Mapping[str, object] = field(default_factory=dict)
    raw: bytes | None = None
    pause_s: float = 0.0
    asked: list[Asked] = field(default_factory=list)

    def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        query = (body or b"").decode() if method == "POST" else urlsplit(url).query
        self.asked.append(Asked(method, url, headers, parse_qs(query)))
        text = json.dumps({"token": f"token-{len(self.asked)}", **self.answer}).encode()
        time.sleep(self.pause_s)
        return Reply(status=self.status(headers), headers={}, body=text if self.raw is None else self.raw)


class Keys:
    """Where credentials come from, which counts how often it is asked; the last one stays."""

    def __init__(self, *found: Credential | None) -> None:
        self.left = list(found)
        self.asked = 0

    def __call__(self) -> Credential | None:
        self.asked += 1
        return self.left.pop(0) if len(self.left) > 1 else self.left[0]


def authorizer(  # noqa: PLR0913  # one argument a thing that tests vary
    server: Server,
    *found: Credential | None,
    keys: Keys | None = None,
    clock: Clock | None = None,
    host: str = HOST,
    scheme: str = "https",
    token_host: str | None = None,
) -> Authorizer:
    keys = keys or Keys(*(found or (USER,)))
    return Authorizer(
        scheme=scheme, host=host, credential=keys, ask=server, token_host=token_host, clock=clock or Clock()
    )


# -- what is offered --------------------------------------------------------------------------------------------


def test_nothing_is_known_and_nobody_asked_before_a_challenge() -> None:
    keys, server = Keys(USER), Server()
    assert authorizer(server, keys=keys).header(scopes(PULL)) is None
    assert (keys.asked, server.asked) == (0, [])


def test_basic_is_answered_with_user_and_password_and_known_from_then_on() -> None:
    server = Server()
    door = authorizer(server)
    assert door.answer(scopes(PULL), ['Basic realm="r"'], refused=None) == BASIC
    assert door.header(scopes("repository:other:push")) == BASIC
    assert door.answer(scopes(PUSH), ['Basic realm="r"'], refused=None) == BASIC
    assert door.answer(scopes(PUSH), ['Basic realm="r"'], refused=BASIC) is None
    assert server.asked == []


def test_a_name_that_is_not_ascii_is_sent_as_utf_8() -> None:
    found = authorizer(Server(), Credential(username="mé", password="ö:x")).answer(  # noqa: S106  # a test's own
        scopes(), ["Basic"], refused=None
    )
    assert found is not None
    assert base64.b64decode(found.removeprefix("Basic ")).decode() == "mé:ö:x"


@pytest.mark.parametrize("challenges", [[], [""], ["Negotiate"], ['Digest realm="x"']])
def test_there_is_no_answer_to_other_challenges(challenges: list[str]) -> None:
    assert authorizer(Server()).answer(scopes(PULL), challenges, refused=None) is None


@pytest.mark.parametrize("credential", [None, Credential(identity_token=SECRET), Credential(registry_token=SECRET)])
def test_basic_needs_a_user(credential: Credential | None) -> None:
    assert authorizer(Server(), credential).answer(scopes(PULL), ["Basic"], refused=None) is None


def test_a_token_is_asked_for_with_service_scopes_and_basic_credentials() -> None:
    server = Server()
    door = authorizer(server)
    found = door.answer(scopes(PUSH, "repository:ml/base:pull"), bearer(f"{REALM}?x=y"), refused=None)
    assert found == "Bearer token-1" == door.header(scopes(PUSH))
    (asked,) = server.asked
    assert (asked.method, asked.headers["Authorization"]) == ("GET", BASIC)
    assert asked.url.startswith(f"{REALM}?x=y&service=r&scope=")
    assert asked.form["scope"] == ["repository:ml/base:pull", PUSH]


def test_without_credentials_a_token_is_asked_for_without_a_name() -> None:
    server = Server()
    assert authorizer(server, None).answer(scopes(PULL), bearer(), refused=None) == "Bearer token-1"
    assert server.asked[0].headers == {"Accept": "application/json"}


def test_an_identity_token_is_exchanged() -> None:
    server = Server(answer={"token": None, "access_token": "x", "refresh_token": "y"})
    door = authorizer(server, Credential(identity_token=SECRET))
    assert door.answer(scopes(PUSH, "repository:a:pull"), bearer(), refused=None) == "Bearer x"
    (asked,) = server.asked
    assert (asked.method, asked.url, "Authorization" in asked.headers) == ("POST", REALM, False)
    assert asked.form == {"grant_type": ["refresh_token"], "service": ["r"], "client_id": ["reconciler"],
                          "scope": [f"repository:a:pull {PUSH}"], "refresh_token": [SECRET]}  # fmt: skip


def test_a_registrys_own_token_is_used_as_it_is() -> None:
    server = Server()
    door = authorizer(server, Credential(registry_token=SECRET))
    assert door.answer(scopes(PULL), bearer("https://evil.example/x"), refused=None) == f"Bearer {SECRET}"
    assert door.header(scopes("repository:other:pull")) == f"Bearer {SECRET}"
    assert door.answer(scopes(PULL), bearer(), refused=f"Bearer {SECRET}") is None
    assert server.asked == []


def test_a_password_that_was_refused_as_it_is_may_still_get_a_token() -> None:
    server = Server()
    door = authorizer(server)
    assert door.answer(scopes(PULL), ["Basic"], refused=None) == BASIC
    assert door.answer(scopes(PULL), bearer(), refused=BASIC) == "Bearer token-1"
    assert server.asked[0].headers["Authorization"] == BASIC


def test_a_token_is_preferred_to_a_password() -> None:
    found = authorizer(Server()).answer(scopes(PULL), ["Basic realm=x", *bearer()], refused=None)
    assert found == "Bearer token-1"


@pytest.mark.parametrize(
    ("told", "asked"),
    [
        (PUSH, PUSH),
        ("repository:ml/training:delete repository:other:push", "repository:ml/training:delete,pull"),
        ("repository:other:pull,push", PULL),
        ("registry:catalog:*", PULL),
        ("repository:ml/training:PULL,x&y=z,", PULL),
        ("repository:ml/training:*", "repository:ml/training:*,pull"),
        ("", PULL),
        (":::", PULL),
    ],
)
def test_what_the_challenge_adds_counts_for_the_same_repository_alone(told: str, asked: str) -> None:
    server = Server()
    authorizer(server).answer(scopes(PULL), bearer(scope=told), refused=None)
    assert server.asked[0].form["scope"] == [asked]


# -- how long it is kept ----------------------------------------------------------------------------------------


def test_a_token_is_used_for_what_it_covers_and_nothing_else() -> None:
    server = Server()
    door = authorizer(server)
    door.answer(scopes(PUSH, "repository:a:pull"), bearer(), refused=None)
    for covered in ((PULL,), (PUSH,), ("repository:a:pull",), (PULL, "repository:a:pull")):
        assert door.header(scopes(*covered)) == "Bearer token-1"
    for other in ("repository:a:push", "repository:b:pull", "repository:ml/training:delete", "registry:catalog:*"):
        assert door.header(scopes(other)) is None
        assert door.header(scopes(PULL, other)) is None


@pytest.mark.parametrize(
    ("said", "lasts"),
    [(None, 60), (300, 300), (0, 60), (-5, 60), (30, 60), (10**400, MAX_LIFETIME_S), (3600, 3600)],
)
def test_a_token_is_kept_until_shortly_before_its_end(said: int | None, lasts: int) -> None:
    clock, server = Clock(), Server(answer={"expires_in": said})
    door = authorizer(server, clock=clock)
    door.answer(scopes(PULL), bearer(), refused=None)
    clock.now += lasts - EARLY_S - 0.1
    assert door.header(scopes(PULL)) == "Bearer token-1"
    clock.now += 0.1
    assert door.header(scopes(PULL)) is None
    assert door.answer(scopes(PULL), bearer(), refused="Bearer token-1") == "Bearer token-2"
    assert door.header(scopes(PULL)) == "Bearer token-2"


def test_the_time_that_the_token_server_takes_is_no_part_of_the_tokens_life() -> None:
    clock = Clock()

    def slow(*_: object) -> Reply:
        clock.now += 50
        return Reply(status=200, headers={}, body=b'{"token": "x", "expires_in": 60}')

    door = Authorizer(scheme="https", host=HOST, credential=lambda: None, ask=slow, clock=clock)
    assert door.answer(scopes(PULL), bearer(), refused=None) == "Bearer x"
    assert door.header(scopes(PULL)) is None


def test_a_new_token_that_is_refused_is_the_end_and_an_old_one_is_fetched_again() -> None:
    clock, server = Clock(), Server(answer={"expires_in": 3600})
    door = authorizer(server, clock=clock)
    first = door.answer(scopes(PULL), bearer(), refused=None)
    assert door.answer(scopes(PULL), bearer(), refused=first) is None
    clock.now += YOUNG_S
    assert door.answer(scopes(PULL), bearer(), refused=first) == "Bearer token-2" == door.header(scopes(PULL))
    assert door.answer(scopes(PULL), bearer(), refused="Bearer token-2") is None
    assert len(server.asked) == 2


def test_a_token_that_was_refused_is_not_used_again_after_its_successor() -> None:
    clock, answer = Clock(), {"expires_in": 3600}
    door = authorizer(Server(answer=answer), clock=clock)
    first = door.answer(scopes(PULL), bearer(), refused=None)
    clock.now += YOUNG_S
    answer["expires_in"] = 60
    assert door.answer(scopes(PULL), bearer(), refused=first) == "Bearer token-2"
    clock.now += 60
    assert door.header(scopes(PULL)) is None


def test_the_same_token_again_is_no_answer() -> None:
    clock = Clock()
    door = authorizer(Server(answer={"token": "same", "expires_in": 3600}), clock=clock)
    first = door.answer(scopes(PULL), bearer(), refused=None)
    clock.now += YOUNG_S
    assert door.answer(scopes(PULL), bearer(), refused=first) is None


@pytest.mark.parametrize("wanted", [scopes(PULL), scopes(), scopes(PUSH, "repository:b:pull")])
def test_sixteen_threads_fetch_one_token(wanted: frozenset[str]) -> None:
    server, keys, begin = Server(pause_s=0.05), Keys(USER), threading.Barrier(16)
    door = authorizer(server, keys=keys)

    def enter(_: int) -> str | None:
        begin.wait()
        return door.answer(wanted, bearer(), refused=None)

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(enter, range(16))) == {"Bearer token-1"}
    assert (len(server.asked), keys.asked) == (1, 1)


def test_sixteen_threads_are_refused_once() -> None:
    server, keys, begin = Server(status=lambda _: 401, pause_s=0.05), Keys(USER), threading.Barrier(16)
    door = authorizer(server, keys=keys)

    def enter(_: int) -> str:
        begin.wait()
        with pytest.raises(DeniedError) as caught:
            door.answer(scopes(PULL), bearer(), refused=None)
        return str(caught.value)

    with ThreadPoolExecutor(16) as pool:
        (said,) = set(pool.map(enter, range(16)))
    assert "the keyring" in said
    assert (len(server.asked), keys.asked) == (1, 2)


def test_tokens_of_many_repositories_are_kept_apart() -> None:
    server = Server()
    door = authorizer(server)
    for number in range(300):
        door.answer(scopes(f"repository:ml/{number}:pull"), bearer(), refused=None)
    assert door.header(scopes("repository:ml/7:pull")) == "Bearer token-8"
    assert len(server.asked) == 300


# -- refusals ---------------------------------------------------------------------------------------------------


def refusal(door: Authorizer, realm: str = REALM) -> ReconcilerError:
    with pytest.raises(ReconcilerError) as caught:
        door.answer(scopes(PULL), bearer(realm), refused=None)
    error = caught.value
    assert error.hint
    assert SECRET not in f"{error!r} {error} {error.detail} {error.__cause__!r}"
    assert "\n" not in str(error)
    return error


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_said_with_where_they_come_from(status: int) -> None:
    error = refusal(authorizer(Server(status=lambda _: status)))
    assert isinstance(error, DeniedError)
    assert error.message == f"{HOST} refuses the credentials from the keyring for {PULL}"
    assert f"docker login {HOST}" in str(error)


@pytest.mark.parametrize("status", [401, 403])
def test_missing_credentials_are_said(status: int) -> None:
    error = refusal(authorizer(Server(status=lambda _: status), None))
    assert isinstance(error, DeniedError)
    assert "there are none for it" in error.message
    assert f"docker login {HOST}" in str(error)


def test_credentials_that_are_over_are_looked_up_once_more() -> None:
    new = Credential(username="me", password="new")  # noqa: S106  # a test's own
    keys, server = Keys(USER, new), Server(status=lambda headers: 401 if headers["Authorization"] == BASIC else 200)
    door = authorizer(server, keys=keys)
    assert door.answer(scopes(PULL), bearer(), refused=None) == "Bearer token-2"
    assert door.answer(scopes("repository:b:pull"), bearer(), refused=None) == "Bearer token-3"
    assert keys.asked == 2


def test_a_basic_credential_that_is_over_is_looked_up_once_more() -> None:
    new = Credential(username="me", password="new")  # noqa: S106  # a test's own
    keys = Keys(USER, new)
    door = authorizer(Server(), keys=keys)
    first = door.answer(scopes(PULL), ["Basic"], refused=None)
    second = door.answer(scopes(PULL), ["Basic"], refused=first)
    assert second not in (None, first)
    assert door.header(scopes(PULL)) == second
    for _ in range(3):
        assert door.answer(scopes(PULL), ["Basic"], refused=second) is None
    assert keys.asked == 3


def test_a_helper_that_failed_is_not_started_for_every_request() -> None:
    started = []

    def failing() -> Credential | None:
        started.append(1)
        raise DeniedError("the helper fails", hint="mend it")

    door = Authorizer(scheme="https", host=HOST, credential=failing, ask=Server(), clock=Clock())
    for name in "abc":
        with pytest.raises(DeniedError, match="the helper fails"):
            door.answer(scopes(f"repository:{name}:pull"), bearer(), refused=None)
    assert len(started) == 1


@pytest.mark.threat("T13")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        f'"{SECRET}"'.encode(),
        f'{{"token": "{SECRET}"'.encode(),
        f'{{"token": "{SECRET}", "token": "{SECRET}"}}'.encode(),
        b"{}",
        b'{"token": ""}',
        b'{"token": 1}',
        b'{"token": ["x"]}',
        f'{{"token": "{SECRET}\\r\\nX-Other: y"}}'.encode(),
        f'{{"token": "{SECRET} x"}}'.encode(),
        f'{{"token": "{SECRET}\\u00e9"}}'.encode(),
        f'{{"token": "{SECRET}\\ud800"}}'.encode(),
        f'{{"token": "{SECRET}\\u0000"}}'.encode(),
        f'{{"token": "{SECRET}", "expires_in": "60"}}'.encode(),
        f'{{"token": "{SECRET}", "expires_in": true}}'.encode(),
        f'{{"token": "{SECRET}", "expires_in": 1.5}}'.encode(),
        f'{{"token": "{SECRET}", "expires_in": NaN}}'.encode(),
        b'{"token": "' + b"x" * 40_000 + b'"}',
        b'{"token": "x", "y": "' + b"x" * (1 << 20) + b'"}',
        b"\xff\xfe",
        b"<html>",
        b"[" * 100_000,
    ],
    ids=range(24),
)
def test_an_answer_that_is_no_token_is_an_error_and_not_shown(body: bytes) -> None:
    assert isinstance(refusal(authorizer(Server(raw=body))), CorruptError)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(status, RegistryError) for status in (204, 302, 404)] + [(status, UnavailableError) for status in (429, 503)],
)
def test_another_status_is_no_denial(status: int, kind: type[ReconcilerError]) -> None:
    error = refusal(authorizer(Server(status=lambda _: status)))
    assert isinstance(error, kind)
    assert not isinstance(error, DeniedError)


def test_what_the_transport_raises_passes_and_is_not_remembered() -> None:
    answers: list[Reply | None] = [None, Reply(status=200, headers={}, body=b'{"token": "x"}')]

    def ask(*_: object) -> Reply:
        answer = answers.pop(0)
        if answer is None:
            raise UnavailableError("no answer")
        return answer

    door = Authorizer(scheme="https", host=HOST, credential=lambda: USER, ask=ask, clock=Clock())
    with pytest.raises(UnavailableError, match="no answer"):
        door.answer(scopes(PULL), bearer(), refused=None)
    assert door.answer(scopes(PULL), bearer(), refused=None) == "Bearer x"


@pytest.mark.threat("T13")
def test_a_reply_and_a_header_show_nothing() -> None:
    server = Server()
    door = authorizer(server)
    door.answer(scopes(PULL), bearer(), refused=None)
    reply = Reply(status=200, headers={"X": SECRET}, body=SECRET.encode())
    assert SECRET not in f"{reply!r} {door!r}"
    assert all(SECRET not in asked.url and BASIC not in asked.url for asked in server.asked)


# -- where credentials go ---------------------------------------------------------------------------------------

TRUSTED = [
    (HOST, "https://registry.example.org/token"),
    (HOST, "https://registry.example.org:8443/token"),
    (HOST, "https://REGISTRY.Example.ORG/token"),
    (HOST, "HTTPS://registry.example.org"),
    (HOST, "https://auth.example.org/token"),
    (HOST, "https://auth.example.org:443/token"),
    (HOST, "https://example.org/token"),
    (HOST, "https://registry.example.org/@evil.example/token"),
    (HOST, "https://registry.example.org?next=https://evil.example"),
    ("Registry.Example.Org.", "https://auth.example.org/token"),
    ("registry.example.org:5000", "https://auth.example.org:5000/token"),
    ("registry.example.org:5000", "https://registry.example.org:5001/token"),
    ("a.b.example.co.uk", "https://auth.b.example.co.uk/token"),
    ("registry.example.co.uk", "https://auth.example.co.uk/token"),
    ("example.org", "https://example.org/token"),
    ("xn--bcher-kva.example.org", "https://auth.example.org/"),
    ("localhost:5000", "https://localhost:5001/token"),
    ("127.0.0.1:5000", "https://127.0.0.1:5001/token"),
    ("[::1]:5000", "https://[0:0:0:0:0:0:0:1]:5001/token"),
    ("10.1.2.3", "https://10.1.2.3/token"),
]


@pytest.mark.threat("T12")
@pytest.mark.parametrize(("host", "realm"), TRUSTED)
def test_credentials_go_to_the_registrys_own_host_its_parent_and_what_stands_beside_it(host: str, realm: str) -> None:
    server = Server()
    assert authorizer(server, host=host).answer(scopes(PULL), bearer(realm), refused=None) == "Bearer token-1"
    assert server.asked[0].headers["Authorization"] == BASIC


ELSEWHERE = [
    (HOST, "https://evil.example/token"),
    (HOST, "https://registry.example.org.evil.net/token"),
    (HOST, "https://registry.example.org.evil.net:443/token"),
    (HOST, "https://evilexample.org/token"),
    (HOST, "https://evil-example.org/token"),
    (HOST, "https://auth.example.org.evil.net/token"),
    (HOST, "https://a.auth.example.org/token"),
    (HOST, "https://auth.registry.example.org/token"),
    (HOST, "https://xn--xample-9ua.org/token"),
    (HOST, "https://registry.xn--xample-9ua.org/token"),
    (HOST, "https://auth.example.org:8443/token"),
    (HOST, "https://auth.example.org:80/token"),
    (HOST, "https://example.org:22/token"),
    ("registry.example.org:5000", "https://auth.example.org:5001/token"),
    ("example.org", "https://auth.example.org/token"),
    ("example.org", "https://other.org/token"),
    ("registry.co.uk", "https://evil.co.uk/token"),
    ("registry.com.au", "https://evil.com.au/token"),
    ("registry.example.org", "https://169.254.example.org.evil.net/"),
    ("localhost:5000", "https://evil.example/token"),
    ("10.1.2.3", "https://registry.example.org/token"),
]
"""Realms that would get nobody's credentials, but may be asked without."""
REFUSED = [
    (HOST, "http://registry.example.org/token"),
    (HOST, "HTTP://registry.example.org/token"),
    (HOST, "http://auth.example.org/token"),
    (HOST, "http://127.0.0.1/token"),
    (HOST, "https://169.254.169.254/latest"),
    (HOST, "https://169.254.169.254:443/latest"),
    (HOST, "https://[fe80::1]/token"),
    (HOST, "https://[fe80::1%25eth0]/token"),
    (HOST, "https://[::ffff:169.254.169.254]/"),
    (HOST, "https://[::ffff:a9fe:a9fe]/"),
    (HOST, "https://2852039166/"),
    (HOST, "https://0xa9fea9fe/"),
    (HOST, "https://0xa9.0xfe.0xa9.0xfe/"),
    (HOST, "https://169.254.43518/"),
    (HOST, "https://0251.0376.0251.0376/"),
    (HOST, "https://127.1/"),
    (HOST, "https://10.0.0.1/"),
    (HOST, "https://[::1]/"),
    (HOST, "https://localhost/"),
    (HOST, "https://a.localhost/"),
    (HOST, "https://metadata.cloud.internal/"),
    (HOST, "https://intranet/"),
    (HOST, "https://example.org@evil.net/token"),
    (HOST, "https://registry.example.org@evil.net/token"),
    (HOST, "https://registry.example.org:443@evil.net/token"),
    (HOST, f"https://me:{SECRET}@registry.example.org/token"),
    (HOST, "https://@registry.example.org/token"),
    (HOST, "https://registry.example.org%40evil.net/token"),
    (HOST, "https://registry.example.org%2eevil.net/token"),
    (HOST, "https://evil.net#@registry.example.org/token"),
    (HOST, "https://evil.net\\\\@registry.example.org/token"),
    (HOST, "https://registry.example.org\\\\.evil.net/token"),
    (HOST, "https://registry.example.org./token"),
    (HOST, "https://registry.example.org../token"),
    (HOST, "https://.registry.example.org/token"),
    (HOST, "https://registry..example.org/token"),
    (HOST, "https://registry\uff0eexample.org/token"),
    (HOST, "https://registry\u3002example.org/token"),
    (HOST, "https://r\u00e9gistry.example.org/token"),
    (HOST, "https://\u24d4vil.net/token"),
    (HOST, "https://registry.example.org:0/token"),
    (HOST, "https://registry.example.org:65536/token"),
    (HOST, "https://registry.example.org:/token"),
    (HOST, "https://registry.example.org:0443/token"),
    (HOST, "https://registry.example.org:443:80/token"),
    (HOST, "https://registry.example.org:x/token"),
    (HOST, "https://registry.example.org /token"),
    (HOST, "https://registry.example.org/to ken"),
    (HOST, " https://registry.example.org/token"),
    (HOST, "https://registry.example.org/token\t"),
    (HOST, "https:///token"),
    (HOST, "https:registry.example.org/token"),
    (HOST, "https:/registry.example.org/token"),
    (HOST, "//registry.example.org/token"),
    (HOST, "/token"),
    (HOST, ""),
    (HOST, "file:///etc/passwd"),
    (HOST, "ftp://registry.example.org/token"),
    (HOST, "gopher://registry.example.org/"),
    (HOST, "javascript://registry.example.org/"),
    (HOST, "https://registry.example.org/" + "x" * 2000),
    ("127.0.0.1:5000", "https://127.0.0.2:5000/"),
    ("127.0.0.1:5000", "https://localhost:5000/"),
    ("169.254.169.254", "https://169.254.169.254/"),
    ("not a host", "https://registry.example.org/"),
]
"""Realms that are not asked at all."""


@pytest.mark.threat("T12")
@pytest.mark.parametrize(("host", "realm"), ELSEWHERE)
@pytest.mark.parametrize("credential", [USER, Credential(identity_token=SECRET)], ids=["user", "identity"])
def test_credentials_do_not_go_to_another_host(host: str, realm: str, credential: Credential) -> None:
    server = Server()
    error = refusal(authorizer(server, credential, host=host), realm)
    assert isinstance(error, DeniedError)
    assert server.asked == []
    theirs = urlsplit(realm).netloc
    assert error.message == f"{host} wants us to sign in at {theirs}, which is another host"
    assert f"registries.{host}.token_host to {theirs} in reconciler.yaml" in str(error)


@pytest.mark.threat("T12")
@pytest.mark.parametrize(("host", "realm"), ELSEWHERE)
def test_without_credentials_another_host_may_be_asked(host: str, realm: str) -> None:
    server = Server()
    door = authorizer(server, None, host=host)
    assert door.answer(scopes(PULL), bearer(realm), refused=None) == "Bearer token-1"
    assert "Authorization" not in server.asked[0].headers


@pytest.mark.threat("T12")
@pytest.mark.parametrize(("host", "realm"), REFUSED)
@pytest.mark.parametrize("credential", [USER, None], ids=["user", "nobody"])
def test_some_addresses_are_not_asked_by_anybody(host: str, realm: str, credential: Credential | None) -> None:
    server = Server()
    assert isinstance(refusal(authorizer(server, credential, host=host), realm), DeniedError)
    assert server.asked == []


@pytest.mark.threat("T12")
@pytest.mark.parametrize(
    ("token_host", "realm", "is_sent"),
    [
        ("login.example.net", "https://login.example.net/token", True),
        ("Login.Example.NET", "https://login.example.net:443/token", True),
        ("login.example.net", "https://login.example.net:8443/token", False),
        ("login.example.net:8443", "https://login.example.net:8443/token", True),
        ("login.example.net:8443", "https://login.example.net/token", False),
        ("login.example.net:443", "https://login.example.net/token", True),
        ("login.example.net", "https://a.login.example.net/token", False),
        ("login.example.net", "https://example.net/token", False),
        ("login.example.net", "http://login.example.net/token", False),
        ("login.example.net", "https://login.example.net@evil.net/token", False),
        ("10.0.0.1", "https://10.0.0.1/token", True),
        ("auth:5001", "https://auth:5001/token", True),
        ("169.254.169.254", "https://169.254.169.254/token", False),
        ("https://login.example.net", "https://login.example.net/token", False),
        ("", "https://login.example.net/token", False),
    ],
)
def test_a_configured_host_gets_credentials_too(token_host: str, realm: str, *, is_sent: bool) -> None:
    server = Server()
    door = authorizer(server, token_host=token_host)
    if is_sent:
        assert door.answer(scopes(PULL), bearer(realm), refused=None) == "Bearer token-1"
        assert server.asked[0].headers["Authorization"] == BASIC
    else:
        refusal(door, realm)
        assert server.asked == []


@pytest.mark.threat("T12")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_registry_over_plain_http_may_sign_in_over_either(scheme: str) -> None:
    server = Server()
    door = authorizer(server, host="127.0.0.1:5000", scheme="http")
    realm = f"{scheme}://127.0.0.1:5001/token"
    assert door.answer(scopes(PULL), bearer(realm), refused=None) == "Bearer token-1"
    assert server.asked[0].url.startswith(realm)


def test_what_is_asked_is_the_address_that_was_judged() -> None:
    realm = check_realm("HTTPS://REGISTRY.example.org:8443/A?b=C", scheme="https", host=HOST)
    assert realm.url == "https://registry.example.org:8443/A?b=C"
    assert check_realm("https://registry.example.org", scheme="https", host=HOST).url == "https://registry.example.org/"
    assert check_realm("https://auth.example.org?a", scheme="https", host=HOST).url == "https://auth.example.org?a"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A.example.org", "a.example.org"),
        ("a.example.org.:5000", "a.example.org:5000"),
        ("[::1]:5000", "[::1]:5000"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("", None),
        ("a/b", None),
        ("me@a", None),
        ("::1", None),
        ("a:", None),
        ("a.1", None),
    ],
)
def test_a_host_has_one_spelling(text: str, expected: str | None) -> None:
    found = parse_host(text)
    assert (None if found is None else str(found)) == expected
