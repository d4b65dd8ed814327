"""What scripts do is followed, and what can't be known is refused, never guessed."""

from __future__ import annotations

import pytest

from reconciler.debian.scripts import Kind, classify, follow
from reconciler.debian.shell.parser import parse_script
from reconciler.debian.shell.syntax import UnreadableError

SHEBANG = "#!/bin/sh\nset -e\n"


def called(script: str) -> list[str]:
    return follow("tool", {"postinst": f"{SHEBANG}{script}"}, None).called


def test_a_first_installation_has_no_version_before() -> None:
    assert called('if [ -n "$2" ]; then frobnicate; fi\n[ "$1" = configure ] && ldconfig\n') == ["ldconfig"]


@pytest.mark.parametrize("relation", ["lt", "le", "gt-nl", "ge-nl"])
def test_a_version_that_is_not_there_is_earlier_than_any_other_or_later_where_that_is_asked_for(relation: str) -> None:
    assert "ldconfig" in called(f'if dpkg --compare-versions "$2" {relation} 1.0; then ldconfig; fi\n')


@pytest.mark.parametrize("relation", ["gt", "eq", "lt-nl", "le-nl"])
def test_what_is_for_an_upgrade_is_passed_over(relation: str) -> None:
    assert "ldconfig" not in called(f'if dpkg --compare-versions "$2" {relation} 1.0; then ldconfig; fi\n')


@pytest.mark.parametrize(
    "script",
    [
        'for name in a "b c"; do "ld$(echo config)" "$name"; done',
        "f() { ldconfig; return 0; ldconfig; }\nf\nf",
        'case "$1" in\n  upgrade|configure) ldconfig; ldconfig ;;\n  *) frobnicate ;;\nesac',
        'x=one\nwhile [ "$x" != three ]; do\n  ldconfig\n  case $x in one) x=two ;; two) x=three ;; esac\ndone',
        "set -- one two\nwhile [ $# -gt 0 ]; do ldconfig; shift; done",
        "ldconfig && ldconfig || frobnicate",
        "! false && (ldconfig; ldconfig) >/dev/null 2>&1",
    ],
)
def test_what_a_script_says_is_followed(script: str) -> None:
    assert [name for name in called(script) if name == "ldconfig"] == ["ldconfig", "ldconfig"]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("frobnicate --all", "frobnicate"),
        ("eval $(cat /etc/hostname)", "eval"),
        (". /etc/default/tool", "/etc/default/tool"),
        ("[ $(date +%s) -gt 5 ] && rm -f /etc/tool", "only a running system knows"),
        ("rm -rf $(mktemp)/x", "only a running system knows"),
        ("$(date)", "only a running system knows"),
        ("find /usr -exec rm {} +", "sed or find"),
        ("while true; do ldconfig; done", "does not end"),
        ("f() { f; }\nf", "does not end"),
        ("if true; then ldconfig", "without its"),
        ('echo "unended', "without an end"),
        ("dpkg-divert --add --rename /bin/ls", "divert"),
        ("update-alternatives --set editor /bin/ed", "--set"),
        ("adduser somebody", "adduser"),
    ],
)
@pytest.mark.threat("T11")
def test_what_is_not_understood_is_refused_by_what_it_is(script: str, why: str) -> None:
    verdict = classify("odd", "1", {"postinst": f"{SHEBANG}{script}\n"})
    assert verdict.kind is Kind.REFUSED
    assert why in verdict.why


def test_what_can_be_known_when_the_root_is_there_is_no_refusal_before() -> None:
    script = f"{SHEBANG}if [ -x /usr/bin/frobnicate ]; then frobnicate; fi\n"
    assert not classify("tool", "1", {"postinst": script}).is_refused


def test_a_program_in_place_of_a_script_is_refused() -> None:
    assert classify("odd", "1", {"postinst": "#!/usr/bin/perl\nunlink 'x';\n"}).is_refused


@pytest.mark.threat("T11")
def test_scripts_too_deep_or_too_long_are_refused() -> None:
    for script in ("(" * 5000 + ")" * 5000, "$(" * 500 + ")" * 500, "x" * (1 << 19)):
        with pytest.raises(UnreadableError):
            parse_script(script)
