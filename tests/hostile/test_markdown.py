"""Values that try to be more than values: in a comment, on a terminal, in a CI log.

The oracle is a small reader of what GitHub gives a meaning to, written apart from the code that it judges.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.errors import BuildError
from reconciler.lock.difference import PackageChange
from reconciler.plan.change import Action, Change, Plan, Reason, Step
from reconciler.plan.drift import DriftReport, Finding, Kind, Stale
from reconciler.plan.observed import Present
from reconciler.reconcile.outcome import Outcome, Status
from reconciler.reports.drift import drift_markdown, drift_text
from reconciler.reports.environments import get_formatted, get_text, history_text, list_text
from reconciler.reports.inert import cells, cut, inert
from reconciler.reports.json import to_text
from reconciler.reports.markdown import LIMIT, code, fence, marker, plan_markdown
from reconciler.reports.outcome import outcome_markdown, outcome_text
from reconciler.reports.style import Style
from reconciler.reports.text import plan_text
from reconciler.values.commit import Revision
from reconciler.values.location import Location
from tests.planning import AMD, desired, digest, manifest, present

ATTACKS = [
    "@everyone",
    "`@everyone`",
    "``` \n@everyone",
    "```\n</details>\n# heading",
    "````",
    "`" * 100,
    "`",
    "a`",
    " `a` ",
    "~~~",
    "</details>",
    "<details>",
    "</summary></details><script>alert(1)</script>",
    "<!-- -->",
    "-->",
    "<img src=x onerror=alert(1)>",
    "[text](https://evil.invalid)",
    "![text](https://evil.invalid/x.png)",
    "https://evil.invalid",
    "www.evil.invalid",
    "me@evil.invalid",
    "|",
    "a|b|c",
    "\\|",
    "a\\",
    "a\\`",
    "#1",
    "owner/repo#1",
    "GH-1",
    "**bold**",
    ":tada:",
    "$`x`$",
    "&#64;everyone",
    "\n\n# heading\n",
    "\r\n::error::x",
    "::error file=a,line=1::x",
    "::set-output name=a::b",
    "::stop-commands::x",
    "  ::add-mask::x",
    "##[error]x",
    "##[command]rm",
    "###[section]x",
    "##vso[task.setvariable variable=a]b",
    "##teamcity[buildStop]",
    "\x1b[31mred",
    "\x1b]0;title\x07",
    "\x1b]8;;https://evil.invalid\x1b\\link\x1b]8;;\x1b\\",
    "\x9b31m",
    "\x08\x08\x08",
    "\x00",
    "\u202egnp.exe",
    "\u2066a\u2069",
    "\u200b",
    "\ufeff",
    "\u2028line",
    "\u2029",
    "\x85next",
    "\U000e0041tag",
    "\ud800",
    "",
    " ",
    "\t",
    "é" * 300,
    "漢" * 300,
    "a\u0301" * 300,
    "\u0301" * 5000,
    "x" * 70_000,
    "`" * 70_000,
]
TEXTS = st.one_of(st.sampled_from(ATTACKS), st.text(max_size=60), st.lists(st.sampled_from(ATTACKS[:45])).map("".join))
COUNTED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)


def plan_of(text: str, name: str, steps: int = 1, changes: int = 1) -> Plan:
    """Put a text wherever one can stand."""
    place = Location(text, 1, 1)
    change = Change(reason=Reason.REQUEST, path=text, old=text, new=[text, {text: text}], location=place)
    moved = PackageChange(name=text, old=text, new=text + "1", platforms=(AMD,))
    one = Step(
        name=name,
        action=Action.REBUILD,
        location=place,
        changes=(change,) * changes,
        packages=(moved,),
        note=text,
    )
    return Plan(steps=(one,) * steps, registry=text, manager=text, revision=Revision(), notes=(text,))


# -- the oracle -------------------------------------------------------------------------------------------------

TEMPLATE = re.compile(r"[A-Za-z0-9 ,.;:()/·…?|#*=\-]*")
DETAILS = re.compile(r"<details><summary><code>([^<>`@]*)</code>: [a-z]+, \d+ differences?</summary>")


def check_markdown(text: str) -> None:
    """Fail where a value got out of its code span or fence, or where something is cut."""
    lines = text.split("\n")
    assert re.fullmatch(r"<!-- reconciler:[A-Za-z0-9-]* -->", lines[0]) or not lines[0].startswith("<!")
    ticks, depth, columns = "", 0, 0
    for line in lines[1:] if lines[0].startswith("<!") else lines:
        if ticks:
            ticks = "" if re.fullmatch(r" {0,3}(`{3,}) *", line) and len(line.strip()) >= len(ticks) else ticks
            continue
        opening = re.fullmatch(r"(`{3,})diff", line)
        if opening:
            assert depth == 1
            ticks = opening.group(1)
        elif line == "</details>":
            depth -= 1
            assert depth == 0
        elif DETAILS.fullmatch(line):
            depth += 1
            assert depth == 1
        else:
            columns = check_line(line, columns)
    assert (ticks, depth) == ("", 0)


def check_line(line: str, columns: int) -> int:
    """Check a line outside of fences; give how many bars a row of the table has that it may be in."""
    rest = "".join(outside_code(line))
    assert TEMPLATE.fullmatch(rest), line
    assert "::" not in rest
    if not line.startswith("| "):
        return columns if line.startswith("| ---") else 0
    bars = line.count("|")
    assert columns in {0, bars}
    return bars


def outside_code(line: str) -> Iterator[str]:
    """Give what is outside of code spans (CommonMark 0.31, 6.1): a run of backticks ends at one of equal length."""
    runs = list(re.finditer("`+", line))
    position = 0
    while runs:
        opening = runs.pop(0)
        closing = next((run for run in runs if len(run.group()) == len(opening.group())), None)
        assert closing is not None, "a run of backticks opens nothing"
        yield line[position : opening.start()]
        position = closing.end()
        runs = [run for run in runs if run.start() >= position]
    yield line[position:]


def check_log(text: str) -> None:
    """Fail where a line would be a command of CI, or holds what a terminal obeys or a reader does not see."""
    for line in text.removesuffix("\n").split("\n"):
        assert not line.lstrip().startswith("::"), line
        assert not re.search(r"##[a-z]*\[", line), line
        hidden = [c for c in set(line) if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}]
        assert hidden == []


# -- Markdown ---------------------------------------------------------------------------------------------------


@pytest.mark.threat("T14")
@pytest.mark.parametrize("name", ["training", None])
@pytest.mark.parametrize("text", ATTACKS, ids=range(len(ATTACKS)))
def test_a_value_stays_a_value_in_a_comment(text: str, name: str | None) -> None:
    comment = plan_markdown(plan_of(text, text if name is None else name))
    check_markdown(comment)
    assert len(comment.encode("utf-8")) <= LIMIT


@COUNTED
@given(text=TEXTS, name=TEXTS, steps=st.integers(0, 40), changes=st.integers(0, 80))
def test_a_comment_is_never_too_long_and_never_cut(
    text: str, name: str, steps: int, changes: int, count_cases: Callable[[str, int], None]
) -> None:
    for limit in (LIMIT, 20_000):
        comment = plan_markdown(plan_of(text, name, steps, changes), limit)
        check_markdown(comment)
        assert len(comment.encode("utf-8")) <= limit
    count_cases("T14", 2)


def test_what_is_left_out_is_counted() -> None:
    comment = plan_markdown(plan_of("x" * 200, "training", 3000, 3))
    check_markdown(comment)
    shown = comment.count("<details>")
    rows = len(re.findall(r"^\| `~`", comment, re.MULTILINE))
    assert f"… and {3000 - rows} more." in comment
    assert f"Details of {3000 - shown} environments are left out" in comment
    assert shown > 10
    assert rows > 10


def test_a_short_plan_is_shown_whole() -> None:
    assert "left out" not in plan_markdown(plan_of("x", "training", 5, 5))


@pytest.mark.parametrize("key", ["plan", "-->", "a--b", "", "é\n"])
def test_a_marker_is_one_hidden_line(key: str) -> None:
    assert re.fullmatch(r"<!-- reconciler:[A-Za-z0-9-]* -->", marker(key))
    assert "--" not in marker(key)[4:-3]


@given(st.lists(TEXTS.map(inert)))
def test_a_fence_is_ended_by_its_end_alone(lines: list[str]) -> None:
    first, *middle, last = fence(lines).split("\n")
    assert first == last
    assert middle == lines
    assert not any(first in line for line in lines)


@given(TEXTS)
def test_a_code_span_is_one_span(text: str) -> None:
    assert "".join(outside_code(code(text))) in {"", "(empty)"}
    assert "|" not in code(text)


@pytest.mark.threat("T14")
@pytest.mark.parametrize("text", ATTACKS, ids=range(len(ATTACKS)))
def test_drift_says_values_as_values(text: str) -> None:
    found = Finding(name=text, kind=Kind.MOVED, path=text, expected=digest("a"), note=text)
    stale = (Stale(name=text, packages=(text,) * 9), Stale(name=text, reason=text))
    report = DriftReport(
        registry=text, findings=(found,) * 3, pending=(text,), unreadable=((text, text),), stale=stale, checked=4
    )
    check_markdown(drift_markdown(report))
    assert len(drift_markdown(replace(report, findings=(found,) * 5000)).encode()) <= LIMIT
    check_log(drift_text(report))


@pytest.mark.threat("T14")
@pytest.mark.parametrize("text", ATTACKS, ids=range(len(ATTACKS)))
def test_an_outcome_says_values_as_values(text: str) -> None:
    error = BuildError(text, where=Location(text), hint=text, detail=f"{text}\n{text}")
    one = Outcome(name=text, action=Action.CREATE, status=Status.FAILED, notes=(text,), error=error)
    check_markdown(outcome_markdown([one, one]))
    check_log(outcome_text([one]))


def test_an_outcome_of_many_is_never_too_long() -> None:
    one = Outcome(name="training", action=Action.CREATE, status=Status.FAILED, error=BuildError("é" * 300))
    text = outcome_markdown([one] * 2000)
    check_markdown(text)
    assert LIMIT - 1000 < len(text.encode()) <= LIMIT


# -- terminals and logs -----------------------------------------------------------------------------------------


@pytest.mark.threat("T14")
@pytest.mark.parametrize("text", ATTACKS, ids=range(len(ATTACKS)))
def test_no_line_of_a_plan_is_a_command(text: str) -> None:
    check_log(plan_text(plan_of(text, text)))
    check_log(plan_text(plan_of(text, text), Style(verbose=True, width=40)))


@COUNTED
@given(text=TEXTS, name=TEXTS, width=st.integers(1, 300))
def test_no_text_gets_out_of_its_line(
    text: str, name: str, width: int, count_cases: Callable[[str, int], None]
) -> None:
    plain = plan_text(plan_of(text, name), Style(width=width))
    check_log(plain)
    painted = plan_text(plan_of(text, name), Style(width=width, colour=True))
    assert re.sub(r"\x1b\[[0-9]+m", "", painted) == plain
    count_cases("T14", 1)


@pytest.mark.threat("T14")
@pytest.mark.parametrize("text", ATTACKS, ids=range(len(ATTACKS)))
def test_no_line_about_what_is_registered_is_a_command(text: str) -> None:
    def hostile() -> Present:
        seen = present(desired(manifest("training", description=text, owner=text, tags={text: text})), manager=text)
        facts = replace(seen.record.facts, name=text, commit=text, manifest=text, builder=text)
        return replace(seen, record=replace(seen.record, facts=facts), missing=(text,))

    one = hostile()
    for report in (list_text([one]), history_text([one]), get_text(one, text), get_formatted(one, text, "{name}\n")):
        check_log(report)


@pytest.mark.threat("T14")
@pytest.mark.parametrize("text", ATTACKS, ids=range(len(ATTACKS)))
def test_json_is_inert_and_says_the_same(text: str) -> None:
    document = to_text({text: [text]})
    check_log(document)
    assert json.loads(document) == {text: [text]}


@given(st.text(), st.integers(1, 50))
def test_what_is_cut_fits_and_keeps_its_ends(text: str, limit: int) -> None:
    short = inert(text, limit)
    assert cells(short) <= limit
    whole = inert(text)
    assert short == whole or (len(text) > 4 * limit) or "…" in short


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [("abcdefghij", 10, "abcdefghij"), ("abcdefghijk", 10, "abcdef…ijk"), ("漢字漢字", 7, "漢字…字"), ("ab", 1, "…")],
)
def test_the_middle_is_cut(text: str, limit: int, expected: str) -> None:
    assert cut(text, limit) == expected
