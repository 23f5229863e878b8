"""What a reviewer is shown: enough in five lines, never too long, and text that stays text."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import jsonschema
import pytest

from compiler.diagnostics import Diagnostic, Position, Severity
from compiler.review.access.edge import PASSTHROUGH, Change, Edge
from compiler.review.outputs.github import MOST, render_github
from compiler.review.outputs.markdown import LONGEST, render_markdown
from compiler.review.outputs.page import render_html
from compiler.review.outputs.sarif import findings_as_sarif, render_sarif
from compiler.review.outputs.sentences import access, in_bytes, size, some, value
from compiler.review.outputs.text import render_text
from compiler.review.plan import Risk, Size, Weight
from tests.review.plans import BROKEN, CHANGED, EVIL, NOTHING, PLAN, REMOVED, evil, many

# --- A terminal -----------------------------------------------------------------------------------------------------


def test_five_lines_say_whether_to_read_on() -> None:
    first = render_text(PLAN).splitlines()[:5]
    assert first[0].startswith("15 of 212 proxies change, 2 services, 2 zones (1 removed)")
    assert first[1].split() == ["high", "removes-listener:", *["one", "proxy", "loses", "a", "listener"]]
    assert first[3] == "access   1 opened, 1 closed, 9 stay"
    assert first[4] == "size     1.2 MB → 1.2 MB (+0.5 %), 700 → 698 resources"


def test_a_change_that_no_proxy_sees_is_said_at_once() -> None:
    lines = render_text(NOTHING).splitlines()
    assert lines[0].startswith("no proxy changes")
    assert lines[-1] == f"digest   same digest {PLAN.base.digest}"


def test_a_field_is_shown_before_and_after_with_the_line_that_did_it() -> None:
    text = render_text(PLAN)
    assert "        ~ /virtualHosts/0/routes/0/route/timeout: 15s → 5s" in text
    assert "because of mesh/defaults.yaml:12 MeshTimeout all changed by 1a2b3c4d5e, Ann" in text
    assert "because of teams/batch.yaml:1 (as it was) Dataplane batch-1 removed" in text


def test_a_pair_on_other_terms_stands_between_what_is_opened_and_what_is_closed() -> None:
    before = Edge("shop/web", "shop/cart", 8080, "http")
    change = Change((before,), (replace(before, identity=False),))
    plan = replace(PLAN, access=replace(PLAN.access, changed=(change,)))
    line = "shop/web → shop/cart:8080: also without a certificate"

    assert access(plan.access) == "1 opened, 1 closed, 1 changed, 9 stay"
    text = render_text(plan)
    assert [row[2] for row in text.splitlines() if "→ shop/" in row] == ["+", "~", "-"]
    assert f"  ~ {line}" in text
    assert f"! {line}" in render_markdown(plan)
    assert line in render_html(plan)
    assert "~1</b>" in render_html(plan)


def test_anything_outside_is_called_so_everywhere() -> None:
    outside = Edge("shop/web", PASSTHROUGH, 0, "tcp", identity=False)
    plan = replace(PLAN, access=replace(PLAN.access, added=(outside,)))
    for text in (render_text(plan), render_markdown(plan), render_html(plan)):
        assert "shop/web → anything outside" in text
        assert "passthrough" not in text


def test_deletions_stand_first() -> None:
    text = render_text(PLAN)
    assert text.index("- proxy shop.batch-1") < text.index("~ request timeout")


def test_colour_is_only_there_when_it_is_asked_for() -> None:
    assert "\x1b" not in render_text(PLAN)
    assert "\x1b[" in render_text(PLAN, colour=True)
    assert re.sub(r"\x1b\[\d+m", "", render_text(PLAN, colour=True)) == render_text(PLAN)


def test_no_value_reaches_the_terminal_as_a_command() -> None:
    text = render_text(evil())
    assert "alert(1)" in text
    assert "\x1b" not in text
    assert "\n- 0 of 0 proxies" not in text


@pytest.mark.parametrize(("number", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (123_456, "123 KB")])
def test_sizes_are_said_as_people_say_them(number: int, text: str) -> None:
    assert in_bytes(number) == text


def test_numbers_that_are_long_have_their_thousands_apart() -> None:
    large = replace(PLAN, before=Size(9, 1, {"listeners": 38_170}), after=Size(9, 1, {"listeners": 38_171}))
    assert size(large) == "1 B, 38,170 → 38,171 resources"
    assert access(replace(PLAN.access, kept=1_234)) == "1 opened, 1 closed, 1,234 stay"
    assert some([f"p{number}" for number in range(1_002)], 2) == "p0, p1 and 1,000 more"


def test_a_long_value_is_cut() -> None:
    assert value("x" * 500) == "x" * 99 + "…"


# --- A comment ------------------------------------------------------------------------------------------------------


def test_a_comment_opens_with_the_verdict_and_folds_the_rest() -> None:
    text = render_markdown(PLAN)
    assert text.startswith("### 15 of 212 proxies change, 2 services, 2 zones (1 removed)\n")
    assert text.count("<details") == text.count("</details>") == 3
    assert "- /virtualHosts/0/routes/0/route/timeout: 15s\n+ /virtualHosts/0/routes/0/route/timeout: 5s" in text
    assert "```mermaid" in text


@pytest.mark.parametrize("number", [1, 50, 3000])
def test_a_comment_is_never_longer_than_a_comment_may_be(number: int) -> None:
    text = render_markdown(many(number))
    assert len(text) <= LONGEST
    left_out = re.search(r"([\d,]+) more changes?: too long", text)
    shown = text.count("<b>~ change")
    assert shown + (int(left_out[1].replace(",", "")) if left_out else 0) == number


def test_the_fences_of_a_cut_comment_are_closed() -> None:
    text = render_markdown(many(3000))
    assert text.count("```") % 2 == 0
    assert text.count("<details") == text.count("</details>")


def test_text_of_a_commit_is_no_markup_in_a_comment() -> None:
    text = render_markdown(evil())
    assert "@everyone" not in re.sub(r"(?ms)^```\w*$.*?^```$", "", text)
    assert "\u200b" not in "".join(re.findall(r"(?ms)^```diff$.*?^```$", text))
    outside = re.sub(r"(?ms)^```\w*$.*?^```$|(?<!\\)`[^`\n]*`", "", text).replace(r"\<", "")
    assert "<script" not in outside
    assert not re.search(r"^- 0 of 0 proxies", text, re.MULTILINE)
    fences = [line for line in text.splitlines() if "```" in line]
    assert all(re.fullmatch(r"```(diff|mermaid)?", line) for line in fences)


# --- Annotations ----------------------------------------------------------------------------------------------------


def test_a_risk_stands_at_the_line_that_causes_it() -> None:
    assert "::notice file=mesh/defaults.yaml,line=12,col=1,title=changes-default::" in render_github(PLAN)


def test_files_of_a_folder_are_named_from_the_root_of_the_repository() -> None:
    broken = Diagnostic(Position("a.yaml", 3, 4), BROKEN, "no")
    below = replace(PLAN, prefix="teams/shop", findings=(broken,), groups=())
    assert "::error file=teams/shop/a.yaml,line=3" in render_github(below)
    assert "::notice file=teams/shop/mesh/defaults.yaml,line=12" in render_github(replace(PLAN, prefix="teams/shop"))
    for plan, uri in ((below, "teams/shop/a.yaml"), (replace(PLAN, prefix="x"), "x/mesh/defaults.yaml")):
        results = json.loads(render_sarif(plan))["runs"][0]["results"]
        assert uri in [one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in results]


def test_no_more_annotations_than_github_shows_and_the_others_are_counted() -> None:
    lines = render_github(many(40)).splitlines()
    assert sum(line.startswith("::warning ") for line in lines) == MOST
    assert "30 more at level warning, which GitHub would not show: see the summary" in lines


def test_text_of_a_commit_is_no_workflow_command() -> None:
    lines = render_github(evil()).splitlines()
    assert sum(line.startswith("::") for line in lines) == 2
    assert len(lines) == 3
    for line in lines[:2]:
        assert re.fullmatch(r"::(error|notice) file=[^:,]*,line=\d+,col=\d+,title=[^:,]*::.*", line), line


# --- SARIF ----------------------------------------------------------------------------------------------------------

TEXT = {"type": "object", "properties": {"text": {"type": "string", "minLength": 1}}, "additionalProperties": False}
REGION = {"startLine": {"type": "integer", "minimum": 1}, "startColumn": {"type": "integer", "minimum": 1}}
LOCATION = {
    "type": "object",
    "required": ["physicalLocation"],
    "additionalProperties": False,
    "properties": {
        "physicalLocation": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "artifactLocation": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "uri": {"type": "string", "format": "uri-reference"},
                        "uriBaseId": {"type": "string"},
                    },
                },
                "region": {"type": "object", "additionalProperties": False, "properties": REGION},
            },
        }
    },
}
RESULT = {
    "type": "object",
    "required": ["message", "ruleId", "ruleIndex", "locations"],
    "additionalProperties": False,
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": {"enum": ["none", "note", "warning", "error"]},
        "message": TEXT,
        "locations": {"type": "array", "items": LOCATION, "minItems": 1},
    },
}
"""Of the standard's section 3.27, closed: the part of it that is written here."""


@pytest.mark.parametrize("plan", [PLAN, NOTHING, evil(), many(30)], ids=["plan", "nothing", "evil", "many"])
def test_results_are_those_of_the_standard(plan: object) -> None:
    log = json.loads(render_sarif(plan))  # type: ignore[arg-type]
    assert log["version"] == "2.1.0"
    [run] = log["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert rules == sorted(set(rules))
    for result in run["results"]:
        jsonschema.validate(result, RESULT, jsonschema.Draft7Validator)
        assert rules[result["ruleIndex"]] == result["ruleId"]


def test_a_finding_about_a_whole_file_has_no_line() -> None:
    log = json.loads(findings_as_sarif([Diagnostic(Position("a b.yaml"), BROKEN, "no")]))
    [result] = log["runs"][0]["results"]
    [place] = result["locations"]
    assert place == {"physicalLocation": {"artifactLocation": {"uri": "a%20b.yaml", "uriBaseId": "REPOSITORY"}}}
    assert result["level"] == "error"


# --- A page ---------------------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.opened: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_fetches_nothing() -> None:
    tags = Tags(render_html(PLAN)).opened
    assert not [(tag, given) for tag, given in tags if {"src", "href", "srcset", "action"} & given.keys()]
    [policy] = [given["content"] for tag, given in tags if given.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none';")


def test_text_of_a_commit_is_no_markup_on_the_page() -> None:
    tags = Tags(render_html(evil()))
    assert sum(tag == "script" for tag, _ in tags.opened) == 1
    assert any(EVIL.splitlines()[0][:40] in text for text in tags.text)
    assert not [given for _, given in tags.opened if any(name.startswith("on") for name in given)]


def test_every_group_is_on_the_page() -> None:
    page = render_html(many(300))
    assert page.count('<details class="group"') == 300
    assert "change 299" in page


def test_a_page_without_changes_says_so() -> None:
    page = render_html(NOTHING)
    assert "<h1>No proxy changes</h1>" in page
    assert "<details" not in page


def test_a_head_that_does_not_compile_is_its_findings() -> None:
    broken = replace(NOTHING, findings=(Diagnostic(Position("mesh.yaml", 3, 4), BROKEN, "this cannot be"),))
    for shown in (render_text(broken), render_markdown(broken), render_html(broken)):
        assert "mesh.yaml:3:4" in shown
        assert "this cannot be" in shown


def test_risks_stand_above_warnings_and_below_errors() -> None:
    warned = Diagnostic(Position("mesh.yaml", 3, 4), replace(BROKEN, severity=Severity.WARNING), "look here")
    for text in (render_text(replace(PLAN, findings=(warned,))), render_markdown(replace(PLAN, findings=(warned,)))):
        assert text.index("removes-listener") < text.index("look here")


def test_proxies_that_go_are_one_risk_whatever_their_services() -> None:
    gone = [Risk("removes-proxy", Weight.HIGH, f"shop.{name}-1 would get no configuration any more") for name in "abcd"]
    groups = tuple(
        replace(REMOVED, proxies=(f"shop.{name}-1",), risks=(risk,)) for name, risk in zip("abcd", gone, strict=True)
    )
    plan = replace(PLAN, groups=(*groups, CHANGED))
    for text in (render_text(plan).split("access")[0], render_markdown(plan).split("**access**")[0]):
        assert text.count("removes-proxy") == 1
        assert "4 proxies would get no configuration any more: shop.a-1, shop.b-1, shop.c-1 and 1 more" in text


def test_groups_of_one_proxy_name_it() -> None:
    assert "proxies: shop.web-0\n" in render_text(replace(PLAN, groups=(replace(CHANGED, proxies=("shop.web-0",)),)))
