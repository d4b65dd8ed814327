"""Images on bases made of Debian packages, in a real engine: what was declared does its work, and scanners see it."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from reconciler.lock.system import Part
from tests.based_case import (
    ALONE,
    MODERN,
    OLD,
    SYSTEM_PACKAGES,
    TOOLS,
    WITHOUT_LIBRARY,
    BasedMachine,
    Seen,
    load,
    scanned,
)
from tests.conftest import Required
from tests.container_case import Containers, inspected, skopeo
from tests.services import EngineService

CERTIFICATES = 100
ARM64 = 183  # EM_AARCH64
LEARNING = """
import lightgbm, numpy, pandas
x = numpy.arange(400.0).reshape(-1, 1)
model = lightgbm.LGBMRegressor(n_estimators=20, verbose=-1).fit(pandas.DataFrame(x, columns=["x"]), 2 * x.ravel())
print(abs(model.predict(pandas.DataFrame([[200.0]], columns=["x"]))[0] - 400) < 40)
"""
BASICS = """
import ctypes, ssl, sqlite3, zoneinfo, lzma, bz2, zlib, hashlib, uuid, decimal, readline, sys
store = ssl.create_default_context().cert_store_stats()["x509_ca"]
sqlite3.connect(":memory:").execute("create table t (x)")
print(sys.version_info[:2], sys.prefix, store, ctypes.CDLL(None).getpid() > 0, zoneinfo.ZoneInfo("Europe/Berlin"))
"""
DRAWING = """
from PIL import Image, ImageDraw, ImageFont
image = Image.new("RGB", (900, 120), "white")
ImageDraw.Draw(image).text((20, 20), "Signed packages", fill="black", font=ImageFont.load_default(size=64))
image.save("/tmp/text.png")
"""
FILMING = """
ffmpeg -v error -f lavfi -i testsrc=duration=1:size=320x240:rate=10 -c:v libx264 /tmp/film.mp4
ffprobe -v error -show_entries stream=codec_name,nb_frames -of csv=p=0 /tmp/film.mp4
"""
COMMITTING = """
git init -q /tmp/r && cd /tmp/r && echo text > file && git add file
git -c user.name=a -c user.email=a@localhost commit -q -m first && git log --format=%s && git fsck
"""
SHOWING = "echo 'digraph { a -> b }' > /tmp/g; dot -Tsvg /tmp/g | tail -1; dot -Tpng /tmp/g | head -c 4 | tail -c 3"
RECORDS = "for f in /var/lib/dpkg/status.d/*; do case $f in *.md5sums) ;; *) cat $f; echo; esac; done"


@pytest.fixture(scope="module")
def tools(
    bases: BasedMachine, required: Required, docker_engine: EngineService, tmp_path_factory: pytest.TempPathFactory
) -> Containers:
    """Python 3.11 on bookworm with programs from ``system_packages``."""
    return load(bases, required.program("skopeo"), docker_engine, TOOLS, tmp_path_factory.mktemp("docker"))


@pytest.fixture(scope="module")
def modern(
    bases: BasedMachine, required: Required, docker_engine: EngineService, tmp_path_factory: pytest.TempPathFactory
) -> Containers:
    """Python 3.13 on trixie, slim."""
    return load(bases, required.program("skopeo"), docker_engine, MODERN, tmp_path_factory.mktemp("docker"))


# -- Python -------------------------------------------------------------------------------------------------------


def test_python_of_bookworm_has_its_modules_and_certificates(tools: Containers) -> None:
    version, prefix, store, *rest = tools.python(BASICS).replace("(3, 11)", "3.11").split()
    assert (version, prefix, rest) == ("3.11", "/opt/venv", ["True", "Europe/Berlin"])
    assert int(store) > CERTIFICATES


def test_python_of_trixie_imports_what_was_declared(modern: Containers) -> None:
    program = "import ctypes, ssl, sqlite3, numpy, sys; print(sys.version_info[:2], numpy.arange(4).sum())"
    assert modern.python(program) == "(3, 13) 6"


def test_a_standalone_python_serves_where_no_suite_has_it(
    bases: BasedMachine, required: Required, docker_engine: EngineService, tmp_path: Path
) -> None:
    alone = load(bases, required.program("skopeo"), docker_engine, ALONE, tmp_path)
    program = "import ctypes, ssl, sqlite3, numpy, pandas, sys; print(sys.version_info[:3], sys.base_prefix)"
    version = bases.locked(ALONE).interpreter.version
    assert alone.python(program) == f"({version.replace('.', ', ')}) /opt/python"
    assert version.startswith("3.12.")


def test_a_library_from_system_packages_lets_lightgbm_learn(tools: Containers) -> None:
    assert tools.python(LEARNING) == "True"


def test_numpy_pandas_scikit_learn_and_azureml_on_python_3_9(
    bases: BasedMachine, required: Required, docker_engine: EngineService, tmp_path: Path
) -> None:
    old = load(bases, required.program("skopeo"), docker_engine, OLD, tmp_path)
    program = (
        "import azureml.core, numpy, pandas, sklearn, sys, importlib.metadata as m;"
        "print(sys.version_info[:2], m.version('azureml-core'))"
    )
    version = next(one.version for one in bases.locked(OLD).packages if one.name == "azureml-core")
    assert old.python(program).splitlines()[-1] == f"(3, 9) {version}"


# -- what system_packages names -----------------------------------------------------------------------------------


def test_ffmpeg_encodes_and_reads(tools: Containers) -> None:
    assert tools.run("sh", "-ec", FILMING).strip() == "h264,10"


def test_git_commits(tools: Containers) -> None:
    assert tools.run("sh", "-ec", COMMITTING).strip() == "first"


def test_tesseract_reads_what_was_drawn(tools: Containers) -> None:
    script = f"python - << 'END' && tesseract /tmp/text.png - 2> /tmp/said\n{DRAWING}\nEND"
    assert tools.run("bash", "-ec", script).strip() == "Signed packages"


def test_graphviz_draws(tools: Containers) -> None:
    assert tools.run("sh", "-ec", SHOWING).split() == ["</svg>", "PNG"]


def test_openmpi_starts_processes(tools: Containers) -> None:
    said = tools.run(
        "mpirun", "-np", "2", "--oversubscribe", "python", "-c", "import os; print(os.environ['OMPI_COMM_WORLD_RANK'])"
    )
    assert sorted(said.split()) == ["0", "1"]


def test_java_runs_and_trusts_the_certificates_of_the_system(tools: Containers) -> None:
    script = "java -XshowSettings:properties -version 2>&1; keytool -list -cacerts -storepass changeit"
    said = tools.run("sh", "-ec", script)
    assert "java.specification.version = 17" in said
    assert said.count("trustedCertEntry") > CERTIFICATES


def test_alternatives_name_programs(tools: Containers) -> None:
    assert tools.run("sh", "-ec", "awk 'BEGIN { print 6 * 7 }'; readlink /etc/alternatives/mpirun").split() == [
        "42",
        "/usr/bin/mpirun.openmpi",
    ]


def test_the_variant_has_what_people_expect_in_a_container(tools: Containers) -> None:
    script = "id -un; ps -o comm= -p 1; date -d @0 +%Y; stat -c %a /tmp; readlink -f /etc/localtime; bash -c 'echo ok'"
    assert tools.run("sh", "-ec", script).split() == ["user", "sh", "1970", "1777", "/usr/share/zoneinfo/Etc/UTC", "ok"]


def test_ldconfig_finds_what_the_cache_says(tools: Containers) -> None:
    said = tools.run(
        "sh",
        "-ec",
        "ldconfig -p | grep '=>' > /tmp/a; ldconfig; ldconfig -p | grep '=>' | diff /tmp/a -",
        options=["--user=0"],
    )
    assert said == ""


def test_documentation_stays_out_and_licences_do_not(tools: Containers) -> None:
    script = "ls /usr/share/doc/ffmpeg; find /usr/share/locale -type f; find / -name 'ffmpeg.1*' 2> /dev/null || true"
    assert tools.run("sh", "-c", script).split() == ["copyright"]


# -- refusals -----------------------------------------------------------------------------------------------------


def test_a_module_without_its_library_is_refused_with_the_package_that_has_it(bases: BasedMachine) -> None:
    path = bases.root / "environments/forgotten.yaml"
    path.write_text(WITHOUT_LIBRARY)
    try:
        refused = bases("apply", "forgotten", expect=None)
    finally:
        path.unlink()
    assert refused.code != 0
    said = refused.out + refused.err
    assert "libgomp.so.1" in said
    assert "lightgbm" in said
    assert "write `system_packages: [libgomp1]`" in said


def test_a_package_whose_script_has_to_run_is_refused_by_name(bases: BasedMachine) -> None:
    path = bases.root / "environments/database.yaml"
    path.write_text('name: database\ndocker: {base_image: "debian:bookworm"}\npython: {version: "3.11"}\n'
                    "system_packages: [postgresql-15]\n")  # fmt: skip
    try:
        refused = bases("lock", "database", expect=None)
    finally:
        path.unlink()
    assert refused.code != 0
    assert "postgresql" in refused.err
    assert "builder: docker" in refused.err


# -- a scanner ----------------------------------------------------------------------------------------------------


def test_a_scanner_sees_the_packages_of_the_lock_and_no_others(
    bases: BasedMachine, tools: Containers, required: Required, tmp_path: Path
) -> None:
    found = scanned(tools.run("bash", "-c", RECORDS), tmp_path / "dpkg", required.program("dpkg-query"))
    system = bases.system(TOOLS)
    assert found == {
        Seen(name=package.name, version=package.version, architecture=package.architecture)
        for package in system.packages
    }
    assert set(SYSTEM_PACKAGES) <= {package.name for package in system.of(Part.ADDED)}


# -- another architecture -----------------------------------------------------------------------------------------


def test_arm64_is_assembled_of_its_own_packages(bases: BasedMachine, required: Required, tmp_path: Path) -> None:
    program = required.program("skopeo")
    assert inspected(program, bases.layout(MODERN, "arm64"), "arm64")["Architecture"] == "arm64"
    skopeo(program, "--override-arch=arm64", "copy", bases.layout(MODERN, "arm64"), f"dir:{tmp_path}/image")
    assert machines(tmp_path / "image") == {ARM64}
    kinds = {package.architecture for package in bases.system(MODERN, "arm64").packages}
    assert kinds == {"arm64", "all"}


def machines(folder: Path) -> set[int]:
    """Say which machines the programs of an image are for, by its layers in a folder that skopeo wrote."""
    found = set()
    for layer in json.loads((folder / "manifest.json").read_bytes())["layers"]:
        with tarfile.open(folder / layer["digest"].removeprefix("sha256:"), "r:*") as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isfile() else None
                header = file.read(20) if file else b""
                if header.startswith(b"\x7fELF"):
                    found.add(int.from_bytes(header[18:20], "little"))
    return found
