"""Requirement lines that would leave the repository, run code or reach a host are refused with a reason."""

from __future__ import annotations

import pytest

from reconciler.manifest.requirements import Collected, Reader
from reconciler.values.location import Location

SHA, COMMIT = "a" * 64, "b" * 40

REFUSED = [
    "-e .",
    "-e git+https://host/x@main#egg=x",
    "-e../x",
    "--editable=.",
    "--editable ./x",
    "-r ../..",
    "-r ../../etc/passwd",
    "-r /etc/passwd",
    "-r ~/x.txt",
    "-r file:///etc/passwd",
    "-r",
    "-r a.txt b.txt",
    "-r a.txt --pre",
    "-r .git/config",
    "-r .GIT/config",
    "-r ''",
    "-r 'a",
    "-c ../../../x",
    "--constraint=/x",
    "--requirement=//host/x",
    "-r C:/x.txt",
    r"-r 'a\..\..\x'",
    "-i http://host/simple",
    "-ihttp://host/simple",
    "--index-url http://host",
    "--index-url=https://user:pass@host",
    "--pypi-url https://host",
    "--extra-index-url https://host/simple",
    "--extra-index-url=https://host/simple",
    "--no-index",
    "-f https://host/links",
    "-f ./links",
    "--find-links=file:///x",
    "--trusted-host host",
    "--trusted-host=host:80",
    "--process-dependency-links",
    "--pre",
    "--use-feature=fast-deps",
    "--no-binary :all:",
    "--no-binary=x",
    "--config-settings=a=b",
    "--global-option=x",
    "--only-binary=:all: --index-url https://host",
    "--prefer-binary --trusted-host host",
    "--require-hashes -i https://host",
    "--unknown",
    "-x",
    "-",
    "--",
    "--require-hashes x",
    "a --config-settings=x=y",
    "a --config-settings x=y",
    "a -C x=y",
    "a --global-option=--help",
    "a --install-option=--prefix=/",
    "a --build-option=x",
    "a --index-url https://host",
    "a -i https://host",
    "a --hash=md5:00",
    "a --hash=sha256:zz",
    "a --hash",
    f"a --hash=sha256:{SHA} --trusted-host h",
    f"a --hash=sha256:{SHA} b",
    "a -r b.txt",
    "git+ext::sh -c id",
    "git+ext::sh%20-c%20id@" + COMMIT,
    "a @ git+ext::sh",
    f"a @ git+https://ext::sh/x@{COMMIT}",
    f"git+file:///srv/x@{COMMIT}",
    f"git+ssh://git@host/x@{COMMIT}",
    f"git+http://host/x@{COMMIT}",
    f"git+git://host/x@{COMMIT}",
    f"git://host/x@{COMMIT}",
    f"git@host:x/y@{COMMIT}",
    "git+https://host/x",
    "git+https://host/x@main",
    "git+https://host/x@v1.0",
    "git+https://host/x@" + "b" * 39,
    "git+https://host/x@" + "B" * 40,
    f"git+https://host@{COMMIT}",
    f"git+https://user:secret@host/x@{COMMIT}",
    f"git+https://token@host/x@{COMMIT}",
    f"a @ git+https://host/x@{COMMIT}#subdirectory=../..",
    f"a @ git+https://host/x@{COMMIT}#subdirectory=/etc",
    f"a @ git+https://host/x@{COMMIT}#upload-pack=id",
    f"a @ git+https://host/x@{COMMIT}?a=b",
    f"svn+https://host/x@{COMMIT}",
    f"hg+https://host/x@{COMMIT}",
    f"bzr+https://host/x@{COMMIT}",
    "a @ file:///etc/passwd",
    "a @ file:../../x.whl",
    "a @ file://localhost/x.whl",
    "a@file:///x-1-py3-none-any.whl",
    "file:///x-1-py3-none-any.whl",
    "a @ /x/a-1-py3-none-any.whl",
    "a @ ../../a-1-py3-none-any.whl",
    "a @ ~/a-1-py3-none-any.whl",
    "a @ ./b-1-py3-none-any.whl",
    "/x/a-1-py3-none-any.whl",
    "../../a-1-py3-none-any.whl",
    "~/a-1-py3-none-any.whl",
    "./a b-1-py3-none-any.whl",
    "./a.whl",
    "./a-1.tar.gz",
    "a-1.zip",
    "./x",
    "../x",
    ".",
    "..",
    "x/y",
    r".\x",
    r"C:\x.whl",
    r"\\host\share\x.whl",
    "https://host/a-1-py3-none-any.whl",
    "https://host/a-1-py3-none-any.whl#md5=0",
    f"http://host/a-1-py3-none-any.whl#sha256={SHA}",
    f"https://user:secret@host/a-1-py3-none-any.whl#sha256={SHA}",
    f"ftp://host/a-1-py3-none-any.whl#sha256={SHA}",
    f"a @ https://host/a.whl?token=1#sha256={SHA}",
    f"https://host/x.tar.gz#sha256={SHA}",
    "a @ https://[::1/x",
    "a @ s3://bucket/x",
    "${HOME}/x.whl",
    "a==${VERSION}",
    "$HOME",
    "-r ${X}.txt",
    "--index-url https://${USER}:${PASS}@host",
    "%APPDATA%/x",
    "# c\u2028--index-url https://host",
    "# c\u2029-e .",
    "# c\x0b-e .",
    "# c\x0c-e .",
    "# c\x85-e .",
    "# c\x1c-e .",
    "# c\r-e .",
    "a\0",
    "a # \0",
    "a\u200b",
    "\u202ea",
    "a; python_version > '3' and " + "(" * 3000 + "os_name == 'x'" + ")" * 3000,
    "a" * 5000,
    "a>=1;import os",
    "a; os.system('id')",
    "a; __import__('os')",
    "a=1.0",
    "a>1 b>2",
    "a\\\n-e .",
    "-e \\\n.",
    "-\\\n-index-url https://host",
    "-\\\ne .",
    "# c \\\n-e .",
]

REMOTE = [
    f"{option}{scheme}://host/{name}"
    for option in ("-r ", "-c ", "--requirement=", "--constraint ")
    for scheme, name in (("https", "r.txt"), ("http", "r.txt"), ("ftp", "x"), ("git+https", "x"), ("s3", "b/x"))
]


def read_line(line: str) -> Collected:
    def read(path: str) -> bytes:
        if path != "r.txt":
            pytest.fail(f"{path} was read")
        return line.encode("utf-8", "surrogatepass")

    reader = Reader(read)
    reader.read_file("r.txt", where=Location("environments/x.yaml", 4, 3))
    return reader.collected


@pytest.mark.threat("T7")
@pytest.mark.parametrize("line", REFUSED, ids=lambda line: ascii(line)[:60])
def test_a_line_that_reaches_out_is_refused_with_file_and_line(line: str) -> None:
    found = read_line(line)
    assert found.requirements <= {"a"}
    (problem,) = found.problems
    assert problem.location.path == "r.txt"
    assert problem.location.line in (1, 2)
    assert problem.message.isprintable()
    assert "secret" not in str(problem)
    assert len(str(problem)) < 500


@pytest.mark.threat("T3")
@pytest.mark.parametrize("line", REMOTE)
def test_a_remote_file_is_refused(line: str) -> None:
    (problem,) = read_line(line).problems
    assert "address" in problem.message
    assert problem.hint == "copy the file into the repository"


@pytest.mark.parametrize("line", ["--index-url https://host/simple", "--extra-index-url x", "-f x", "--trusted-host h"])
def test_a_host_is_refused_with_the_way_to_name_it(line: str) -> None:
    (problem,) = read_line(line).problems
    assert "python.indexes" in problem.hint


@pytest.mark.parametrize(
    "line",
    [
        f"git+https://host/x.git@{COMMIT}",
        f"a @ git+https://host/x.git@{COMMIT}#subdirectory=sub/dir",
        f"https://host/a-1-py3-none-any.whl#sha256={SHA}",
        "a; sys_platform == 'linux' and (python_version < '3.12' or os_name == 'nt')",
        "a===weird",
        "# just a comment with ${VARIABLE} and \\",
    ],
)
def test_what_is_pinned_or_plain_is_taken(line: str) -> None:
    assert read_line(line).problems == []
