from __future__ import annotations

from reconciler.debian.scripts import Kind, classify

SECTION = "# Automatically added by dh_installmenu/13.11\nupdate-menus\n# End automatically added section\n"


def test_a_package_without_scripts_has_nothing_to_do() -> None:
    assert classify("libz1", "1", {"triggers": "activate-noawait ldconfig\n"}).kind is Kind.NONE


def test_what_runs_when_a_package_is_removed_does_not_matter() -> None:
    assert classify("odd", "1", {"postrm": "#!/bin/sh\nrm -rf /\n"}).kind is Kind.NONE


def test_sections_of_debhelper_are_known_by_their_marks() -> None:
    assert classify("tool", "1", {"postinst": f"#!/bin/sh\nset -e\n{SECTION}"}).kind is Kind.GENERATED


def test_own_lines_are_refused_by_what_they_run() -> None:
    verdict = classify("odd", "1", {"postinst": f"#!/bin/sh\nset -e\n{SECTION}frobnicate --all\n"})
    assert verdict.is_refused
    assert "frobnicate" in verdict.why


def test_a_diversion_that_guards_a_merge_has_nothing_to_guard() -> None:
    guard = 'dpkg-divert --package tool --no-rename --divert "/lib/a.so.1.usr-is-merged" --add "/lib/a.so.1"\n'
    assert not classify("tool", "1", {"preinst": f"#!/bin/sh\nset -e\n{guard}"}).is_refused
    other = 'dpkg-divert --package tool --rename --divert "/lib/a.so.1.old" --add "/lib/a.so.1"\n'
    assert classify("tool", "1", {"preinst": f"#!/bin/sh\nset -e\n{other}"}).is_refused


def test_a_script_that_is_a_program_is_refused_but_where_somebody_knows_it() -> None:
    assert classify("odd", "1", {"preinst": "\x7fELF\x02"}).is_refused
    assert not classify("bash", "5.1-2", {"preinst": "\x7fELF\x02"}).is_refused
