"""Bad input: one clear line with file and remedy, the exit code of the table, and nothing half-written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.refusals import Case, call, check, copy, tree
from tests.conftest import Required
from tests.repository import Repository

MANIFEST = "environments/training.yaml"
LOCK = "environments/training.lock.json"
SIX_MEGABYTES = 6 << 20
Change = Callable[[Repository], object]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, required: Required) -> Repository:
    """Give a repository with one registered environment."""
    required.python("3.11")
    patch = pytest.MonkeyPatch()
    for name in ("AUTHOR", "COMMITTER"):
        patch.setenv(f"GIT_{name}_NAME", "Test")
        patch.setenv(f"GIT_{name}_EMAIL", "test@example.invalid")
    found = Repository(tmp_path_factory.mktemp("template") / "clone")
    found.release("alpha", "1.0")
    found.declare("training", "alpha", extra="tags: {team: risk}\n")
    found.commit()
    found("apply")
    patch.undo()
    return found


def write(path: str, content: str | bytes) -> Change:
    """Write a file."""
    data = content if isinstance(content, bytes) else content.encode()

    def change(repository: Repository) -> None:
        target = repository.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)

    return change


def large(path: str, size: int) -> Change:
    """Write a file of that size that takes no room."""

    def change(repository: Repository) -> None:
        with (repository.root / path).open("wb") as file:
            file.truncate(size)

    return change


def link(path: str, target: str) -> Change:
    """Put a symbolic link there."""
    return lambda repository: (repository.root / path).symlink_to(target)


def remove(path: str) -> Change:
    """Take a file away."""
    return lambda repository: (repository.root / path).unlink()


def folder(path: str, mode: int = 0o755) -> Change:
    """Make a folder."""
    return lambda repository: (repository.root / path).mkdir(mode=mode)


def mode(path: str, bits: int) -> Change:
    """Set who may do what."""
    return lambda repository: (repository.root / path).chmod(bits)


def both(*changes: Change) -> Change:
    """Change one thing after the other."""
    return lambda repository: [change(repository) for change in changes]


def saved(**fields: object) -> Change:
    """Save a plan, then falsify it."""

    def change(repository: Repository) -> None:
        repository.declare("training", "alpha==1.0")
        repository("plan", "--out", "plan.json")
        path = repository.root / "plan.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    return change


def declare(text: str, path: str = MANIFEST) -> Change:
    """Write a manifest of a host environment with these further fields."""
    return write(path, f"name: {Path(path).stem}\ndocker: {{enabled: false}}\n{text}")


COMMANDS: dict[str, tuple[str, ...]] = {
    "validate": (),
    "lock": (),
    "explain": ("training",),
    "plan": (),
    "apply": (),
    "drift": (),
    "list": (),
    "get": ("training",),
    "history": ("training",),
    "run": ("training",),
}
"""Every command with the arguments that it needs."""
TAIL = {"run": ("--", "true")}


def every(
    code: int, *says: str, options: tuple[str, ...] = (), but: tuple[str, ...] = (), **rest: object
) -> list[Case]:
    """Give the same case for every command."""
    return [
        Case(arguments=(name, *words, *options, *TAIL.get(name, ())), code=code, says=says, **rest)  # type: ignore[arg-type]  # fields of Case
        for name, words in COMMANDS.items()
        if name not in but
    ]


def case(command: str, code: int, *says: str, change: Change | None = None, **rest: object) -> Case:
    """Give one case; the command is split at blanks."""
    return Case(arguments=tuple(command.split()), code=code, says=says, change=change, **rest)  # type: ignore[arg-type]  # as above


USAGE = [
    case("nonsense", 64, "no command `nonsense`", "reconciler --help"),
    case("aply", 64, "did you mean `apply`?"),
    case("--bogus", 64, "'--bogus'"),
    *every(64, "--bogus", options=("--bogus",)),
    *every(64, "no folder elsewhere", options=("-C", "elsewhere")),
    *every(64, "'yaml' is not one of", options=("-o", "yaml"), but=("lock", "run")),
    *[case(command, 64, "Missing argument") for command in ("explain", "get", "history", "run", "run training")],
    *[case(f"{command} a b", 64, "unexpected extra argument") for command in ("explain", "get", "history", "list")],
    *[
        case(f"{command} trainig", 64, "no environment `trainig`", "did you mean `training`?")
        for command in ("plan", "apply", "lock", "explain", "drift", "plan --refresh", "apply training --refresh")
    ],
    *[
        case(f"{command} {word}", 64, "names no version", "training:3")
        for command in ("get", "history")
        for word in ("training:x", "training:0", "training:", "training:1:2", "training:-1", "training@newest")
    ],
    *[case(f"get {word}", 64, "names match") for word in ("Training", "a/b", "../a", "a..b", ":1", "@latest")],
    case(f"get {'a' * 200}", 64, "at most 100 characters"),
    case("get reconciler-state", 64, "the reconciler's own"),
    case("run training:x -- true", 64, "names no version"),
    case("run training hello.py --epochs 3", 64, "after `--`"),
    case("run training --source . hello.py -C .", 64, "Put `--` before hello.py"),
    case("run training --source gone -- true", 64, "no folder gone"),
    case("history training:1", 64, "a name alone"),
    case("get training --format {nope}", 64, "{nope}", "{digest}"),
    case("get training -o json --format {digest}", 64, "--format"),
    case("plan --tag team", 64, "`team` is no tag", "KEY=VALUE"),
    case("plan --tag team=none", 64, "team=none"),
    case("apply --tag =", 64, "--tag"),
    case("plan --max-deletes -1", 64, "--max-deletes"),
    case("apply --max-deletes many", 64, "--max-deletes"),
    case("plan --out", 64, "--out"),
    case("lock --upgrade -P alpha", 64, "--upgrade"),
    case("lock --upgrade --upgrade-base", 64, "--upgrade moves the base already"),
    case("validate ../elsewhere.yaml", 64, "outside of the repository"),
    case("validate /etc/hostname", 64, "outside of the repository"),
    case("validate training.yaml", 9, "training.yaml: error: does not exist"),
]

NOT_THERE = [
    *[case(f"{command} other", 1, "`other`", "reconciler list") for command in ("get", "history")],
    case("run other -- true", 1, "`other`", "reconciler list"),
    case("get trainig", 1, "did you mean `training`?"),
    case("get training:7", 1, "training:7 is not registered", "has version 1"),
    case("run training:7 -- true", 1, "training:7 is not registered"),
    case("run training -- gone.py", 127, "no script gone.py", "--source"),
    case("run training -- gone-command", 127, "no command gone-command"),
    case("run training -- ./gone", 127, "./gone"),
    case("run training -- ./data", 126, "not executable", "chmod +x", change=write("data", "text")),
]

REVISIONS = [
    *[
        case(f"{command} --at nowhere", 1, "nowhere", "fetch")
        for command in ("validate", "plan", "apply", "explain training")
    ],
    case("plan --base nowhere", 1, "nowhere", "fetch"),
    case("plan --at --out=x", 1, "--out=x"),
]

MANIFESTS = [
    *[
        case(
            command, 9, f"{MANIFEST}:3:1: error: unknown field `compte` (did you mean `compute`?)", change=declare(text)
        )
        for text in ("compte: cpu\n",)
        for command in ("validate", "lock", "explain training", "plan", "apply")
    ],
    case("plan", 9, f"{MANIFEST}:3:", "python", change=declare("python: [1]\n")),
    case("plan", 9, f"{MANIFEST}:3:", "pip", change=declare("python: {pip: {a: b}}\n")),
    case("plan", 9, f"{MANIFEST}:3:", "compute", change=declare("compute: tpu\n")),
    case("plan", 9, f"{MANIFEST}:1:", change=write(MANIFEST, "")),
    case("plan", 9, f"{MANIFEST}:1:", change=write(MANIFEST, "- a\n")),
    case("plan", 9, f"{MANIFEST}:2:", change=write(MANIFEST, "name: training\nname: training\n")),
    case("plan", 9, f"{MANIFEST}:2:", change=write(MANIFEST, "name: training\n\tcompute: cpu\n")),
    case("plan", 9, f"{MANIFEST}:", change=write(MANIFEST, "name: training\n---\nname: b\n")),
    case("plan", 9, f"{MANIFEST}:", change=write(MANIFEST, "name: !!python/object:os.system training\n")),
    case("plan", 9, f"{MANIFEST}:", "UTF-8", change=write(MANIFEST, b"name: tr\xe4ning\n")),
    case("plan", 9, f"{MANIFEST}:", change=write(MANIFEST, b"name: training\x00\n")),
    case("plan", 9, MANIFEST, "error:", change=large(MANIFEST, SIX_MEGABYTES)),
    case("plan", 9, f"{MANIFEST}:1:7", "rename the file", change=write(MANIFEST, "name: other\n")),
    case(
        "plan",
        9,
        "declare one name",
        "rename one of them",
        change=write("environments/training/environment.yaml", "name: training\n"),
    ),
    case("plan", 9, "declare one name", change=write("environments/training.yml", "name: training\n")),
    case("plan", 9, f"{MANIFEST}:3:", "gone.txt", "does not exist", change=declare("python: {pip_file: gone.txt}\n")),
    case(
        "plan",
        9,
        f"{MANIFEST}:3:",
        "leads out",
        "relative to this manifest",
        change=declare("python: {pip_file: ../../x.txt}\n"),
    ),
    case(
        "plan",
        9,
        f"{MANIFEST}:3:",
        "absolute",
        "relative to this manifest",
        change=declare("python: {pip_file: /etc/passwd}\n"),
    ),
    case(
        "plan",
        9,
        "environments/r.txt",
        "link",
        change=both(declare("python: {pip_file: r.txt}\n"), link("environments/r.txt", "/etc/hostname")),
    ),
    case(
        "plan",
        9,
        "environments/r.txt:2: error:",
        change=both(declare("python: {pip_file: r.txt}\n"), write("environments/r.txt", "alpha\nalpha>>1\n")),
    ),
    case("validate", 9, "environments/link.yaml", change=link("environments/link.yaml", "/etc/hostname")),
    case("validate", 9, "environments/link.yaml", change=link("environments/link.yaml", "gone.yaml")),
    case("validate environments", 9, "environments: error: is a folder"),
    case("plan", 9, MANIFEST, "no permission", change=mode(MANIFEST, 0), ordinary=True),
    case(
        "plan",
        9,
        f"{MANIFEST}:3:",
        "credential",
        change=declare("python: {pip: ['a @ https://me:hunter2@example.invalid/a.whl']}\n"),
    ),
]

FOLDERS = [
    *[
        case(
            command,
            1,
            "environments",
            "does not exist",
            "`manifests`",
            change=lambda repository: (repository.root / "environments").rename(repository.root / "elsewhere"),
        )
        for command in ("validate", "plan", "apply", "lock", "explain training")
    ],
    case(
        "validate",
        1,
        "environments",
        "environments",
        change=both(
            lambda repository: (repository.root / "environments").rename(repository.root / "elsewhere"),
            write("environments", "text"),
        ),
    ),
    case("apply", 6, "declares nothing", change=remove(MANIFEST)),
    case("plan", 1, "environments", "no permission", change=mode("environments", 0), ordinary=True),
]

CONFIGURATION = [
    *every(
        9,
        "reconciler.yaml:1:1: error: unknown field `registy`",
        "did you mean `registry`?",
        change=write("reconciler.yaml", "registy: x\n"),
    ),
    case("list", 9, "reconciler.yaml:1:", change=write("reconciler.yaml", "registry: [1]\n")),
    case("plan", 9, "reconciler.yaml:1:", change=write("reconciler.yaml", "a: b\n  c\n")),
    case("plan", 9, "reconciler.yaml", "UTF-8", change=write("reconciler.yaml", b"manager: \xff\n")),
    case("plan", 1, "reconciler.yaml", "link", change=link("reconciler.yaml", "/etc/hostname")),
    case("plan", 1, "reconciler.yaml", "folder", change=folder("reconciler.yaml")),
    case("plan", 1, "elsewhere", "does not exist", change=write("reconciler.yaml", "manifests: elsewhere\n")),
    case("plan", 9, "reconciler.yaml:1:", change=write("reconciler.yaml", "manifests: ../..\n")),
    case(
        "plan",
        1,
        "reconciler.yaml",
        "no permission",
        change=both(write("reconciler.yaml", ""), mode("reconciler.yaml", 0)),
        ordinary=True,
    ),
]

LOCKS = [
    *[
        case(command, 9, f"{LOCK}", "invalid lock", "reconciler lock", change=write(LOCK, "garbage"))
        for command in ("validate", "plan", "apply", "explain training", "lock --check")
    ],
    case("plan", 9, LOCK, "invalid lock", change=write(LOCK, b"\xff\xfe")),
    case("plan", 9, LOCK, "invalid lock", change=write(LOCK, "[]")),
    case("plan", 9, LOCK, "invalid lock", change=write(LOCK, "{}")),
    case("plan", 9, LOCK, "version is missing", change=write(LOCK, '{"inputs": 99}')),
    case("plan", 9, LOCK, "unknown version 99", change=write(LOCK, '{"version": 99, "inputs": "", "platforms": {}}')),
    case("plan", 9, LOCK, "nested", change=write(LOCK, "[" * 100_000)),
    case("plan", 9, LOCK, change=large(LOCK, 65 << 20)),
    case("plan", 9, LOCK, "folder", change=folder(LOCK)),
    case("plan", 9, LOCK, "link", change=link(LOCK, "/etc/hostname")),
    case("plan --locked", 6, MANIFEST, "reconciler lock training"),
    case("apply --locked", 6, MANIFEST, "reconciler lock training"),
]

PLANS = [
    case("apply plan.json", 1, "no plan file plan.json", "--out plan.json"),
    case("apply gone/plan", 1, "no plan file gone/plan"),
    case("apply ./environments", 1, "no plan file ./environments"),
    case("apply plan.json", 64, "saved plan", "--out FILE", change=write("plan.json", "garbage")),
    case("apply plan.json", 64, "saved plan", change=write("plan.json", "")),
    case("apply plan.json", 64, "saved plan", change=write("plan.json", "[]")),
    case("apply plan.json", 64, "saved plan", change=write("plan.json", b"\xff\xfe{}")),
    case("apply plan.json", 64, "nested", change=write("plan.json", "[" * 100_000)),
    case("apply plan.json", 64, "format version 99", change=saved(format_version=99)),
    case("apply plan.json", 64, "steps", change=saved(steps={})),
    case("apply plan.json", 64, "steps[0]", change=saved(steps=[{"name": "../x"}])),
    case("apply plan.json", 7, "registry", "plan again", change=saved(registry="another")),
    case("apply plan.json", 7, "manager", change=saved(manager="another")),
    case("apply plan.json", 64, "too large", change=large("plan.json", (256 << 20) + 1)),
    case(
        "apply plan.json",
        7,
        "training",
        "plan --out",
        change=both(saved(), lambda repository: repository.declare("training", "alpha<2")),
    ),
    case("apply plan.json", 1, "plan.json", "ermission", change=both(saved(), mode("plan.json", 0)), ordinary=True),
]

OUTPUTS = [
    case("plan --out gone/plan.json", 1, "gone"),
    case("plan --out environments", 1, "environments"),
    case("plan --out closed/plan.json", 1, "closed", "ermission", change=folder("closed", 0o555), ordinary=True),
    case("plan --out /proc/plan.json", 1, "/proc"),
]

REGISTRIES = [
    *every(
        1, "scheme", "HOST/", options=("--registry", "http://me:hunter2@localhost:5000/x"), but=("validate", "lock")
    ),
    case("list", 69, "does not answer", variables={"RECONCILER_REGISTRY": "registry.example.invalid/team"}),
    case("list", 1, "has no scheme", change=write("reconciler.yaml", "registry: https://example.invalid/x\n")),
    case("list --registry file", 1, "file", change=write("file", "text")),
    case("get training", 1, "training", change=write(".reconciler/registry/training/index.json", "garbage")),
    case("list", 1, "training", change=write(".reconciler/registry/training/index.json", "{}")),
    case(
        "history training", 1, "training", change=write(".reconciler/registry/training/index.json", '{"manifests": 1}')
    ),
]

ALL = {
    "usage": USAGE,
    "not there": NOT_THERE,
    "revision": REVISIONS,
    "manifest": MANIFESTS,
    "folder": FOLDERS,
    "configuration": CONFIGURATION,
    "lock": LOCKS,
    "plan file": PLANS,
    "output": OUTPUTS,
    "registry": REGISTRIES,
}
CASES = [
    pytest.param(one, id=f"{family} {number}: {' '.join(one.arguments)[:60]}")
    for family, cases in ALL.items()
    for number, one in enumerate(cases)
]


@pytest.mark.parametrize("one", CASES)
def test_bad_input_is_one_clear_line_and_writes_nothing(
    one: Case, template: Repository, tmp_path: Path, required: Required
) -> None:
    repository = copy(template, tmp_path / "clone")
    if one.change is not None:
        one.change(repository)
    prefix = _without_rights(required) if one.ordinary else ()
    before = tree(repository.root)
    check(call(repository, one, prefix=prefix), one)
    assert tree(repository.root) == before


def _without_rights(required: Required) -> tuple[str, ...]:
    """Give up what lets the superuser read and write every file, as permissions are tested here."""
    if os.geteuid() != 0:
        return ()
    rights = "-dac_override,-dac_read_search"
    return (str(required.program("setpriv")), "--bounding-set", rights, "--inh-caps", rights)
