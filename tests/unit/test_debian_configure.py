"""A root is configured as its packages' scripts would have done."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from reconciler.debian.configure import configure, wanted
from reconciler.debian.scripts import Kind, classify
from reconciler.errors import BuildError
from reconciler.oci.member import Kind as Type
from reconciler.oci.member import Member, file_of, folder_of, link_of
from reconciler.oci.rootfs import Rootfs

SHEBANG = "#!/bin/sh\nset -e\n"
PASSWD = b"root:*:0:0:root:/root:/bin/bash\nnobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
GROUP = b"root:*:0:\nshadow:*:42:\nnogroup:*:65534:\n"
BASE = (
    file_of("usr/share/base-passwd/passwd.master", PASSWD),
    file_of("usr/share/base-passwd/group.master", GROUP),
    link_of("bin", "usr/bin"),
)


def root_of(*members: Member) -> Rootfs:
    root = Rootfs(wanted)
    root.apply((member, member.read() if member.read else iter(())) for member in members)
    return root


def made(root: Rootfs, scripts: Mapping[str, str], *recipes: str) -> dict[str, Member]:
    verdicts = {
        name: classify(name, "1", {"postinst": f"{SHEBANG}{text}\n", "templates": "Template: tool/size\nDefault: a4\n"})
        for name, text in scripts.items()
    }
    verdicts |= {name: classify(name, "1", {}) for name in recipes}
    return {member.path: member for member in configure(root, verdicts, architecture="amd64")}


def text_of(member: Member) -> str:
    assert member.read is not None
    return b"".join(member.read()).decode()


# -- alternatives -----------------------------------------------------------------------------------------------

OFFER = "update-alternatives --install /usr/bin/awk awk /usr/bin/{0} {1} --slave /usr/bin/nawk nawk /usr/bin/{0}n"


def test_the_alternative_of_the_highest_priority_is_linked() -> None:
    root = root_of(*(file_of(f"usr/bin/{name}", b"", mode=0o755) for name in ("gawk", "mawk", "gawkn")))
    files = made(root, {"gawk": OFFER.format("gawk", 10), "mawk": OFFER.format("mawk", 5)})
    assert files["etc/alternatives/awk"].target == "/usr/bin/gawk"
    assert files["usr/bin/awk"].target == "/etc/alternatives/awk"
    assert files["etc/alternatives/nawk"].target == "/usr/bin/gawkn"


def test_what_is_not_there_is_no_alternative() -> None:
    root = root_of(file_of("usr/bin/mawk", b"", mode=0o755))
    files = made(root, {"gawk": OFFER.format("gawk", 10), "mawk": OFFER.format("mawk", 5)})
    assert files["etc/alternatives/awk"].target == "/usr/bin/mawk"
    assert "etc/alternatives/nawk" not in files


def test_equal_priorities_are_decided_by_the_path_and_not_by_the_order() -> None:
    root = root_of(*(file_of(f"usr/bin/{name}", b"", mode=0o755) for name in ("b", "a")))
    scripts = {"one": OFFER.format("b", 10), "two": OFFER.format("a", 10)}
    assert made(root, scripts)["etc/alternatives/awk"].target == "/usr/bin/a"
    assert made(root, dict(reversed(scripts.items())))["etc/alternatives/awk"].target == "/usr/bin/a"


def test_a_file_is_never_replaced_by_an_alternative() -> None:
    root = root_of(file_of("usr/bin/mawk", b""), file_of("usr/bin/awk", b"own"))
    assert "usr/bin/awk" not in made(root, {"mawk": OFFER.format("mawk", 5)})


def test_alternatives_are_found_in_loops_and_in_variables() -> None:
    root = root_of(file_of("usr/lib/jvm/bin/java", b""), file_of("usr/lib/jvm/bin/keytool", b""))
    script = (
        'dir=/usr/lib/jvm/bin\nfor tool in java keytool; do\n  [ -e "$dir/$tool" ] || continue\n'
        "  update-alternatives --install /usr/bin/$tool $tool $dir/$tool 1711 \\\n    $more\ndone"
    )
    assert classify("jre", "1", {"postinst": SHEBANG + script}).kind is Kind.ALTERNATIVES
    files = made(root, {"jre": script})
    assert (files["usr/bin/java"].target, files["etc/alternatives/keytool"].target) == (
        "/etc/alternatives/java", "/usr/lib/jvm/bin/keytool",
    )  # fmt: skip


# -- accounts ---------------------------------------------------------------------------------------------------


def test_users_and_groups_are_those_of_the_base_and_of_packages() -> None:
    files = made(root_of(*BASE), {"dbus": "adduser --system --group --home /var/lib/bus bus"}, "base-passwd", "passwd")
    assert text_of(files["etc/passwd"]).splitlines()[0] == "root:x:0:0:root:/root:/bin/bash"
    assert "bus:x:100:100::/var/lib/bus:/usr/sbin/nologin\n" in text_of(files["etc/passwd"])
    assert "bus:x:100:\n" in text_of(files["etc/group"])
    assert (files["var/lib/bus"].uid, files["var/lib/bus"].gid) == (100, 100)


def test_passwords_are_in_a_file_that_only_root_and_its_group_read() -> None:
    files = made(root_of(*BASE), {}, "base-passwd", "passwd")
    shadow = files["etc/shadow"]
    assert (shadow.mode, shadow.uid, shadow.gid) == (0o640, 0, 42)
    assert text_of(shadow).splitlines()[0] == "root:*::0:99999:7:::"


def test_a_package_waits_for_the_account_that_another_one_adds() -> None:
    scripts = {"a": "install -d -g late /var/lib/a", "z": "addgroup --system late"}
    assert made(root_of(*BASE), scripts, "base-passwd")["var/lib/a"].gid == 100


def test_an_account_that_nobody_adds_is_an_error_that_names_the_package() -> None:
    with pytest.raises(BuildError, match=r"package a .*group 'late'"):
        made(root_of(*BASE), {"a": "install -d -g late /var/lib/a"}, "base-passwd")


def test_accounts_that_packages_declare_are_made() -> None:
    declared = file_of("usr/lib/sysusers.d/tool.conf", b'g tools 77\nu tool - "A tool" /var/lib/tool\nm tool tools\n')
    files = made(root_of(*BASE, declared), {"tool": "systemd-sysusers tool.conf"}, "base-passwd")
    assert "tool:x:999:999:A tool:/var/lib/tool:/usr/sbin/nologin\n" in text_of(files["etc/passwd"])
    assert "tools:x:77:tool\n" in text_of(files["etc/group"])


# -- files ------------------------------------------------------------------------------------------------------


def test_files_are_made_changed_and_deleted_as_scripts_say() -> None:
    root = root_of(
        file_of("usr/share/tool/tool.conf", b"default\n"), file_of("etc/old", b""), file_of("usr/bin/ping", b"elf")
    )
    script = (
        "cp /usr/share/tool/tool.conf /etc/tool.conf\nrm -f /etc/old /etc/none\nln -s tool.conf /etc/link\n"
        '. /usr/share/debconf/confmodule\ndb_get tool/size\necho "$RET" > /etc/papersize\n'
        "if setcap cap_net_raw+ep /bin/ping; then :; else chmod u+s /usr/bin/ping; fi\n"
        "umask 077\nmkdir -p /var/lib/tool\n"
    )  # fmt: skip
    files = made(root, {"tool": script})
    assert text_of(files["etc/tool.conf"]) == "default\n"
    assert files["etc/.wh.old"].kind is Type.WHITEOUT
    assert files["etc/link"].target == "tool.conf"
    assert text_of(files["etc/papersize"]) == "a4\n"
    assert files["usr/bin/ping"].mode == 0o4644
    assert files["var/lib/tool"].mode == 0o700


def test_paths_are_those_behind_the_links_of_a_merged_root() -> None:
    root = root_of(link_of("bin", "usr/bin"), folder_of("usr/bin"))
    assert {*made(root, {"tool": "ln -s ../x /bin/y"})} >= {"usr/bin/y"}


def test_a_link_that_leads_out_stays_inside() -> None:
    root = root_of(link_of("etc/out", "../../../../outside"))
    assert "outside" in made(root, {"tool": "echo hello > /etc/out"})


def test_folders_for_what_is_temporary_are_for_everybody() -> None:
    files = made(root_of(), {})
    assert (files["tmp"].mode, files["var/tmp"].mode) == (0o1777, 0o1777)


def test_what_is_as_the_root_has_it_is_left_out() -> None:
    root = root_of(folder_of("var/lib/tool"), file_of("etc/tool", b"same"))
    assert {*made(root, {"tool": "mkdir -p /var/lib/tool\nchmod 644 /etc/tool"})} == {
        "etc/machine-id",
        "tmp",
        "var/tmp",
    }


def test_bytes_that_were_not_kept_are_never_lost() -> None:
    big = Member(path="usr/libexec/deep/in/tool", size=1 << 21, read=lambda: iter((bytes(1 << 21),)))
    with pytest.raises(BuildError, match="package tool"):
        made(root_of(big), {"tool": "chmod u+s /usr/libexec/deep/in/tool"})


def test_what_was_postponed_is_refused_when_the_root_has_it() -> None:
    script = "if [ -x /usr/bin/frobnicate ]; then frobnicate; fi"
    assert made(root_of(), {"tool": script})
    with pytest.raises(BuildError, match=r"package tool .*frobnicate") as caught:
        made(root_of(file_of("usr/bin/frobnicate", b"", mode=0o755)), {"tool": script})
    assert "builder: docker" in str(caught.value)


def test_the_clock_is_that_of_utc() -> None:
    assert made(root_of(), {}, "tzdata")["etc/localtime"].target == "/usr/share/zoneinfo/Etc/UTC"


def test_plug_ins_of_graphviz_that_are_there_are_listed() -> None:
    root = root_of(file_of("usr/lib/x86_64-linux-gnu/graphviz/libgvplugin_dot_layout.so.6", b""))
    listed = text_of(made(root, {}, "libgvc6")["usr/lib/x86_64-linux-gnu/graphviz/config6a"])
    assert listed == "libgvplugin_dot_layout.so.6 dot_layout {\n\tlayout {\n\t\tdot 0\n\t}\n}\n"
