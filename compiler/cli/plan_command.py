"""`meshwright plan`: what a change does to which proxy, before it merges."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from compiler.cli.exits import FINE, FOUND, UNREACHABLE, USAGE, Stop

if TYPE_CHECKING:
    from compiler.diagnostics import Checked
    from compiler.review.kept.folder import Kept
    from compiler.review.plan import Plan
    from compiler.source.git import Repository
    from compiler.source.tree import SourceTree

CHANGED: Final = 2
"""The exit code for proxies that change, where `--detailed-exitcode` asks for it."""
WORKING_TREE: Final = "working tree"
NOTHING: Final = frozenset({"0" * 40, "4b825dc642cb6eb9a060e54bf8d69288fbee4904"})
"""What stands for no commit: where a forge was pushed to for the first time, and git's empty tree."""


class Form(StrEnum):
    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    GITHUB = "github"
    HTML = "html"
    SARIF = "sarif"


FORMS: Final[Mapping[Form, tuple[str, str]]] = {
    Form.TEXT: ("compiler.review.outputs.text", "render_text"),
    Form.JSON: ("compiler.review.changes.plan_json", "render_json"),
    Form.MARKDOWN: ("compiler.review.outputs.markdown", "render_markdown"),
    Form.GITHUB: ("compiler.review.outputs.github", "render_github"),
    Form.HTML: ("compiler.review.outputs.page", "render_html"),
    Form.SARIF: ("compiler.review.outputs.sarif", "render_sarif"),
}
"""The function that draws each form from a plan, in a module that is loaded only then."""


def plan(
    path: Annotated[Path, typer.Argument(help="A mesh repository, or a folder of one.")] = Path(),
    base: Annotated[
        str | None, typer.Option(help="Compare with this commit; else with where HEAD left the branch it goes to.")
    ] = None,
    head: Annotated[
        str | None, typer.Option("--head", "--at", help="The commit to look at; else the files as they are.")
    ] = None,
    output: Annotated[Form, typer.Option("--output", "--format", "-o", help="How the plan is printed.")] = Form.TEXT,
    fail_on: Annotated[
        str, typer.Option(help="Exit with 1 for these risks: codes or weights (high), with commas between them.")
    ] = "",
    save: Annotated[
        list[Path] | None,
        typer.Option(help="Also write it here, in the form of the suffix: .md, .json, .html, .sarif, .txt."),
    ] = None,
    zone: Annotated[str | None, typer.Option(help="Look at the proxies of this zone only.")] = None,
    compiler_version: Annotated[
        str | None,
        typer.Option(
            help="Compare with what another release makes of the same commit: its version, its environment or program, "
            "or the snapshots that it left."
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Keep what is known of the base here; else in meshwright/ of XDG_CACHE_HOME, or ~/.cache."),
    ] = None,
    *,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Neither use nor keep what is known of the base.")
    ] = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 2 where a proxy changes, 0 where none does.")
    ] = False,
) -> int:
    """Show what a change does: for which proxies, why, who may newly talk to whom, and what to look at."""
    from compiler.garbage import uncollected

    for option, revision in (("--base", base), ("--head", head)):
        if revision is not None and not revision.strip():
            raise Stop(f"{option} is empty: name a commit, or leave it out", USAGE)
    refused = _risks_to_fail_on(fail_on)
    files = {file: _form_of(file) for file in save or ()}
    with uncollected():
        if compiler_version is not None and zone is not None:
            raise Stop("--zone and --compiler-version do not go together: two releases are compared in full", USAGE)
        if compiler_version is not None:
            made = _make_upgrade(path, head, compiler_version)
        else:
            made = _make(path, base, head, None if no_cache else _find_kept(cache), zone)
        for file, form in files.items():
            file.write_text(render(made, form) + "\n")
        _show(made, output)
    if made.failed or any({risk.code, risk.weight.value} & refused for risk in made.risks):
        return FOUND
    return CHANGED if detailed_exitcode and (made.groups or not made.compared) else FINE


def render(made: "Plan", form: Form) -> str:
    """The plan in that form, without a line break at its end."""
    from importlib import import_module

    module, function = FORMS[form]
    text: str = getattr(import_module(module), function)(made)
    return text.rstrip("\n")


def _form_of(file: Path) -> Form:
    """Raises `Stop` for a suffix that says nothing."""
    suffixes = {".md": Form.MARKDOWN, ".json": Form.JSON, ".html": Form.HTML, ".sarif": Form.SARIF, ".txt": Form.TEXT}
    if file.suffix not in suffixes:
        raise Stop(f"--save {file}: its suffix must be one of {', '.join(suffixes)}", USAGE)
    return suffixes[file.suffix]


def _show(made: "Plan", form: Form) -> None:
    """On a terminal in colour, unless NO_COLOR is set, and page by page where it is longer than the screen."""
    import os
    import sys
    from pydoc import pager
    from shutil import get_terminal_size

    if form is not Form.TEXT or not sys.stdout.isatty():
        typer.echo(render(made, form))
        return
    from compiler.review.outputs.text import render_text

    text = render_text(made, colour=not os.environ.get("NO_COLOR"))
    if text.count("\n") >= get_terminal_size().lines:
        os.environ.setdefault("LESS", "FRX")  # colours as they are, and gone when it is read, as git has it
        pager(text + "\n")
    else:
        typer.echo(text)


def _find_kept(folder: Path | None) -> "Kept | None":
    """Without a folder that can be used a plan takes longer, and that is all: only whoever named one is told."""
    import os

    from compiler.review.kept.folder import Kept, UnusableFolderError

    if folder is None:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111  # without a home it stays as it is
        return Kept(Path(home) / "meshwright") if Path(home).is_absolute() else None
    kept = Kept(folder)
    try:
        kept.open()
    except UnusableFolderError as error:
        typer.echo(f"meshwright: warning: nothing is kept for the next plan: {error}", err=True)
        return None
    return kept


def _make(path: Path, base: str | None, head: str | None, kept: "Kept | None", zone: str | None) -> "Plan":
    from compiler.cli.sources import is_bare, open_base, open_tree, require_mesh, require_zone
    from compiler.pipeline import Compiler
    from compiler.review.changes.planning import NO_TREE, make_plan
    from compiler.review.versions import Versions

    head = head or ("HEAD" if is_bare(path) else None)
    after = open_tree(path, head)
    name, commit = (base, base) if base is not None else _find_base(path, head)
    before = NO_TREE if commit in NOTHING else open_base(path, commit, after.value)
    if head is None:
        after = _named_by_commit(path, after, before.value)
    versions = Versions(Compiler(zone=zone))
    made = make_plan(
        versions, before, after, "nothing" if commit in NOTHING else name, head or WORKING_TREE, path, kept
    )
    if not made.failed and not made.documents:
        require_mesh(path, versions.compile(after).resources.counts)
    if not made.failed and zone is not None:
        require_zone(zone, versions.compile(after).resources)
    return made


def _make_upgrade(path: Path, head: str | None, wanted: str) -> "Plan":
    """Both releases read a commit, so that neither sees what the other does not."""
    from compiler.cli.sources import open_tree, require_mesh
    from compiler.review.changes.planning import make_upgrade_plan
    from compiler.review.other_compiler import OtherCompilerError, find_compiler
    from compiler.review.versions import Versions

    tree = open_tree(path, head or "HEAD")
    try:
        other = find_compiler(wanted)
        snapshots = other.compile(path, tree.value.commit or "")
    except OtherCompilerError as error:
        raise Stop(str(error)) from error
    versions = Versions()
    made = make_upgrade_plan(versions, tree, snapshots, other.name)
    if not made.failed:
        require_mesh(path, versions.compile(tree).resources.counts)
    return made


def _find_base(path: Path, head: str | None) -> tuple[str, str]:
    """The branch and its commit; raises `Stop` where it cannot be told what the change is to be compared with."""
    from compiler.review.changes.base import find_merge_base, find_upstream
    from compiler.source.git import EmptyRepository, resolve

    repository = _open(path)
    try:
        tip = resolve(repository, head or "HEAD")
    except EmptyRepository:
        return "nothing", next(iter(NOTHING))
    upstream = find_upstream(repository)
    if upstream is None:
        raise Stop("there is no branch to compare with (an upstream, origin/main or main); name a commit with --base")
    found = find_merge_base(repository, tip, upstream.commit)
    if found is None:
        raise Stop(f"no commit is common with {upstream.name}; fetch the whole history, or name a commit with --base")
    return upstream.name, found


def _named_by_commit(path: Path, tree: "Checked[SourceTree]", base: "SourceTree") -> "Checked[SourceTree]":
    """A working tree whose files are those of HEAD is that commit; so is what is refused among them."""
    from dataclasses import replace

    from compiler.cli.sources import open_tree
    from compiler.source.git import GitError

    try:
        committed = open_tree(path, "HEAD", base)
    except (GitError, Stop):
        return tree
    there, here = ([(file.path, file.blob) for file in one.value.files] for one in (committed, tree))
    if there != here or set(committed.diagnostics) != set(tree.diagnostics):
        return tree
    return replace(tree, value=replace(tree.value, commit=committed.value.commit))


def _open(path: Path) -> "Repository":
    from compiler.source.git import GitError, open_repository
    from compiler.source.refs import discover

    try:
        return open_repository(discover(path)[0])
    except GitError as error:
        raise Stop(str(error), UNREACHABLE) from error


def _risks_to_fail_on(text: str) -> frozenset[str]:
    """Raises `Stop` for a word that no risk has."""
    from compiler.resources.suggest import did_you_mean
    from compiler.review.changes.weights import WEIGHTS
    from compiler.review.plan import Weight

    known = [*WEIGHTS, *Weight]
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in known:
            guess = did_you_mean(word, known) or f"the risks are {', '.join(known)}"
            raise Stop(f"--fail-on: there is no risk {word!r}; {guess}", USAGE)
    return frozenset(words)
