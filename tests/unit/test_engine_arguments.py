"""Arguments for the engine: what is passed on, and that nothing else is."""

from __future__ import annotations

import pytest

from reconciler.errors import BuildError
from reconciler.manifest.arguments import ONCE, REPEATED, SWITCHES, parse_arguments
from reconciler.runners.settings import host_settings
from reconciler.values.canonical import Json

VALUES = {
    "add-host": "db:10.0.0.1",
    "cpus": "1.5",
    "gpus": "all",
    "memory": "1g",
    "publish": "8080:80",
    "shm-size": "1g",
    "tmpfs": "/scratch:size=1m",
    "ulimit": "nofile=10:20",
}


@pytest.mark.parametrize("name", sorted(SWITCHES | ONCE | REPEATED))
def test_every_option_that_is_taken_reaches_the_engine(name: str) -> None:
    plain = host_settings({})
    argument = f"--{name}" if name in SWITCHES else f"--{name}={VALUES.get(name, 'value')}"
    assert host_settings({"arguments": [argument]}) != plain


@pytest.mark.parametrize("name", sorted(ONCE | REPEATED))
def test_a_value_may_be_an_item_of_its_own(name: str) -> None:
    value = VALUES.get(name, "value")
    assert parse_arguments([f"--{name}", value]) == parse_arguments([f"--{name}={value}"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--entrypoint=x"], "no option that is passed on"),
        (["--user=0"], "no option that is passed on"),
        (["value"], "no option that is passed on"),
        (["-"], "no option that is passed on"),
        (["--memory"], "lacks its value"),
        (["--memory", "--init"], "lacks its value"),
        (["--memory=1g", "-m=2g"], "is there twice"),
        (["--privileged=false"], "takes no value"),
    ],
)
def test_what_is_not_known_is_refused_by_name(arguments: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        parse_arguments(arguments)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--cpus=many", "no number of processors"),
        ("--gpus=some", "none of all, a number"),
        ("--ulimit=nofile", "NAME=SOFT"),
        ("--publish=http", "CONTAINER"),
        ("--add-host=db", "NAME:ADDRESS"),
    ],
)
def test_a_value_that_no_engine_takes_is_one_line(argument: str, said: str) -> None:
    with pytest.raises(BuildError, match=said) as refused:
        host_settings({"arguments": [argument]})
    assert refused.value.message.startswith("docker.arguments: ")


def test_values_reach_the_engine_as_they_are_written() -> None:
    listed: list[Json] = [
        "-v=/data:/data:ro",
        "--cap-add",
        "SYS_PTRACE",
        "-p=127.0.0.1:80:8080/udp",
        "-e=A=b c",
        "-e=HOME",
    ]
    found = host_settings({"arguments": listed, "shm_size": "2g"})
    assert found.host["binds"] == ["/data:/data:ro"]
    assert found.host["cap_add"] == ["SYS_PTRACE"]
    assert found.host["shm_size"] == "2g"
    assert found.host["port_bindings"] == {"8080/udp": ("127.0.0.1", 80)}
    assert found.environment({"HOME": "/home/me"}) == {"A": "b c", "HOME": "/home/me"}
    assert found.environment({}) == {"A": "b c"}
