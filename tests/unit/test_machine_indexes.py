"""Which of the machine's index settings reach uv, and what becomes of pip's."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.clients.indexes import read_index_settings
from reconciler.clients.uv import Uv, configuration_files

MAIN, MORE, OTHER = "https://main.invalid/simple", "https://more.invalid/simple", "https://other.invalid/simple"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Give an environment of nothing but folders of its own."""
    return {"HOME": str(tmp_path / "home"), "XDG_CONFIG_DIRS": str(tmp_path / "xdg"), "PIP_CONFIG_FILE": "/dev/null"}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, {}),
        ({"PIP_INDEX_URL": MAIN}, {"UV_DEFAULT_INDEX": MAIN}),
        ({"PIP_EXTRA_INDEX_URL": f"{MORE} {OTHER}"}, {"UV_INDEX": f"{MORE} {OTHER}"}),
        ({"PIP_FIND_LINKS": f"/opt/a {MORE}"}, {"UV_FIND_LINKS": f"/opt/a,{MORE}"}),
        ({"PIP_FIND_LINKS": "wheels ./more"}, {}),
        ({"PIP_NO_INDEX": "1", "PIP_INDEX_URL": MAIN}, {"UV_NO_INDEX": "1"}),
        ({"PIP_NO_INDEX": "0", "PIP_INDEX_URL": MAIN}, {"UV_DEFAULT_INDEX": MAIN}),
        ({"PIP_CERT": "/etc/own.pem"}, {"SSL_CERT_FILE": "/etc/own.pem"}),
        ({"PIP_CERT": "/etc/own.pem", "SSL_CERT_FILE": "/etc/uv.pem"}, {}),
        ({"PIP_TRUSTED_HOST": "a.invalid b.invalid"}, {"UV_INSECURE_HOST": "a.invalid b.invalid"}),
        ({"PIP_DEFAULT_TIMEOUT": "60"}, {"UV_HTTP_TIMEOUT": "60"}),
        (
            {"PIP_PROXY": "http://p.invalid:1"},
            {"HTTPS_PROXY": "http://p.invalid:1", "HTTP_PROXY": "http://p.invalid:1"},
        ),
        ({"PIP_PROXY": "http://p.invalid:1", "https_proxy": "http://q.invalid"}, {}),
    ],
)
def test_pips_variables_are_handed_over(
    environ: dict[str, str], variables: dict[str, str], expected: dict[str, str]
) -> None:
    assert dict(read_index_settings({**environ, **variables}).variables) == expected


@pytest.mark.parametrize(
    "own",
    [
        {"UV_INDEX": OTHER},
        {"UV_DEFAULT_INDEX": OTHER},
        {"UV_INDEX_URL": OTHER},
        {"UV_EXTRA_INDEX_URL": OTHER},
        {"UV_FIND_LINKS": "/opt"},
        {"UV_NO_INDEX": "1"},
    ],
    ids=lambda own: next(iter(own)),
)
def test_where_uv_has_index_settings_pips_do_not_count(environ: dict[str, str], own: dict[str, str]) -> None:
    found = read_index_settings({**environ, **own, "PIP_INDEX_URL": MAIN, "PIP_EXTRA_INDEX_URL": MORE})
    assert dict(found.variables) == {}
    assert not found.merged


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        (f'index-url = "{OTHER}"\n', True),
        (f'[[index]]\nname = "team"\nurl = "{OTHER}"\n', True),
        ("no-index = true\n", True),
        ('[pip]\nfind-links = ["/opt"]\n', True),
        ('cache-dir = "/tmp/cache"\n', False),
        ("not toml at all [", False),
    ],
)
def test_an_index_in_uvs_own_file_stands_above_pips_settings(
    environ: dict[str, str],
    text: str,
    counts: bool,  # noqa: FBT001  # the expected answer
) -> None:
    write(Path(environ["HOME"]) / ".config/uv/uv.toml", text)
    assert read_index_settings({**environ, "PIP_INDEX_URL": MAIN}).merged is not counts


def test_named_indexes_of_uv_are_addresses_of_aliases(environ: dict[str, str]) -> None:
    write(Path(environ["HOME"]) / ".config/uv/uv.toml", f'[[index]]\nname = "team"\nurl = "{MORE}"\n')
    found = read_index_settings({**environ, "UV_INDEX": f"lab={OTHER} {MAIN}"})
    assert dict(found.named) == {"team": MORE, "lab": OTHER}


def test_pips_files_are_read_in_pips_order(environ: dict[str, str], tmp_path: Path) -> None:
    del environ["PIP_CONFIG_FILE"]
    home = Path(environ["HOME"])
    layers = [
        tmp_path / "xdg/pip/pip.conf",
        home / ".pip/pip.conf",
        home / ".config/pip/pip.conf",
        tmp_path / "named.conf",
    ]
    for number, path in enumerate(layers):
        write(path, f"[global]\nindex-url = https://{number}.invalid\n")
        named = {"PIP_CONFIG_FILE": str(path)} if path.name == "named.conf" else {}
        found = read_index_settings({**environ, **named})
        assert found.variables["UV_DEFAULT_INDEX"] == f"https://{number}.invalid"
    last = {**environ, "PIP_CONFIG_FILE": str(layers[-1]), "PIP_INDEX_URL": MAIN}
    assert read_index_settings(last).variables["UV_DEFAULT_INDEX"] == MAIN


def test_a_file_of_pip_may_be_rubbish(environ: dict[str, str], tmp_path: Path) -> None:
    environ["PIP_CONFIG_FILE"] = str(write(tmp_path / "pip.conf", "no section\n\0"))
    without = {**environ, "PIP_CONFIG_FILE": str(tmp_path / "absent")}
    assert read_index_settings(environ) == read_index_settings(without)


def test_several_lines_of_a_file_are_several_indexes(environ: dict[str, str], tmp_path: Path) -> None:
    text = f"[global]\nextra-index-url =\n    {MORE}\n    {OTHER}\n[install]\nfind_links = /opt/a\n"
    environ["PIP_CONFIG_FILE"] = str(write(tmp_path / "pip.conf", text))
    found = read_index_settings(environ).variables
    assert (found["UV_INDEX"], found["UV_FIND_LINKS"]) == (f"{MORE} {OTHER}", "/opt/a")


@pytest.mark.threat("T11")
def test_a_file_inside_the_repository_does_not_count(environ: dict[str, str], tmp_path: Path) -> None:
    environ["PIP_CONFIG_FILE"] = str(write(tmp_path / "pip.conf", f"[global]\nindex-url = {MAIN}\n"))
    without = {**environ, "PIP_CONFIG_FILE": str(tmp_path / "absent")}
    assert read_index_settings(environ).variables["UV_DEFAULT_INDEX"] == MAIN
    assert read_index_settings(environ, outside=tmp_path) == read_index_settings(without)


@pytest.mark.threat("T13")
def test_settings_do_not_show_addresses(environ: dict[str, str]) -> None:
    found = read_index_settings({**environ, "PIP_INDEX_URL": "https://u:hush@main.invalid", "UV_INDEX": ""})
    assert "hush" not in repr(found)
    assert "hush" not in repr(Uv(environ={"UV_INDEX": "https://u:hush@main.invalid"}))


def test_the_users_file_of_uv_is_stronger_than_the_systems(environ: dict[str, str], tmp_path: Path) -> None:
    system = write(tmp_path / "xdg/uv/uv.toml", "")
    assert configuration_files(environ) == (system,)
    user = write(Path(environ["HOME"]) / ".config/uv/uv.toml", "")
    assert configuration_files(environ) == (system, user)
    assert Uv(environ=environ).configuration() == ("--config-file", str(user))


def test_without_a_file_uv_looks_for_none(environ: dict[str, str]) -> None:
    assert Uv(environ=environ).configuration() == ("--no-config",)


def test_what_uv_gets_is_chosen_variable_by_variable() -> None:
    given = {
        "PATH": "/usr/bin:relative::/bin",
        "UV_INDEX_TEAM_USERNAME": "p",
        "UV_PRERELEASE": "allow",
        "PIP_INDEX_URL": MAIN,
        "AWS_SECRET_ACCESS_KEY": "s",
        "VIRTUAL_ENV": "/v",
        "HTTPS_PROXY": "http://p.invalid",
    }
    found = Uv(environ=given).variables()
    assert found["PATH"] == "/usr/bin:/bin"
    assert found["UV_PYTHON_DOWNLOADS"] == "never"
    assert found["UV_INDEX_TEAM_USERNAME"] == "p"
    assert found["HTTPS_PROXY"] == "http://p.invalid"
    assert not {"UV_PRERELEASE", "PIP_INDEX_URL", "AWS_SECRET_ACCESS_KEY", "VIRTUAL_ENV"} & found.keys()
