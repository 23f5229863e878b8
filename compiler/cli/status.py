"""`meshwright status`: what the running reconciler serves, to whom, and what it refused."""

import json
from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from compiler.cli.exits import UNREACHABLE, USAGE, Stop

_PATIENCE: Final = 5.0
"""Seconds for a reconciler to answer."""
_DOING: Final = {"start": "starts", "fetch": "fetches", "read": "reads", "compile": "compiles", "publish": "publishes"}
"""What the compiling process is at; where it is idle the candidate says what it waits for."""


class Form(StrEnum):
    TEXT = "text"
    JSON = "json"


def status(
    http: Annotated[str, typer.Option(help="Address of the reconciler's HTTP server.")] = "127.0.0.1:5681",
    output: Annotated[Form, typer.Option("--output", "--format", "-o", help="How it is printed.")] = Form.TEXT,
) -> None:
    """Show what is served, what the last commit came to, and what each proxy accepted."""
    found = _fetch(f"http://{http.removeprefix('http://').rstrip('/')}/status")
    if output is Form.JSON:
        typer.echo(json.dumps(found, indent=2))
        return
    for line in _lines(found):
        typer.echo(line)


def _fetch(url: str) -> dict[str, Any]:
    """Raises `Stop` for an address that is none, where nothing answers, and where something else does."""
    from http.client import HTTPException, InvalidURL
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=_PATIENCE) as answer:  # noqa: S310  # the scheme is ours
            found = json.load(answer)
    except InvalidURL as error:
        raise Stop(f"{url}: {error}; --http takes HOST:PORT, such as 127.0.0.1:5681", USAGE) from error
    except HTTPError as error:
        raise Stop(f"{url}: what answers there is no reconciler", UNREACHABLE) from error
    except URLError as error:
        raise Stop(f"nothing answers at {url}: {error.reason}", UNREACHABLE) from error
    except (OSError, HTTPException) as error:
        raise Stop(f"nothing answers at {url}: {error}", UNREACHABLE) from error
    except ValueError as error:
        raise Stop(f"{url}: what answers there is no reconciler", UNREACHABLE) from error
    if not isinstance(found, dict) or "serving" not in found:
        raise Stop(f"{url}: what answers there is no reconciler", UNREACHABLE)
    return found


def _lines(found: dict[str, Any]) -> list[str]:
    serving, candidate = found.get("serving") or {}, found.get("candidate") or {}
    lines = [f"serving    {serving['digest']}  commit {serving.get('commit') or '-'}" if serving else _waiting(found)]
    if candidate:
        lines.append(f"candidate  {candidate.get('state')}  commit {candidate.get('commit')}")
        lines += [f"           {candidate['reason']}"] if candidate.get("reason") else []
        lines += [f"           {_place(one)}: {one['message']}" for one in candidate.get("diagnostics") or ()]
    return lines + [line for proxy in found.get("proxies") or () for line in _proxy(proxy)]


def _waiting(found: dict[str, Any]) -> str:
    """Nothing is served yet: how far the process that compiles is, or what keeps it from starting."""
    worker, troubles = found.get("worker") or {}, found.get("troubles") or ()
    if not worker.get("running"):
        return f"serving    nothing yet: {'; '.join(troubles) or 'the compiler starts'}"
    commit = f" commit {worker['commit'][:10]}" if worker.get("commit") else ""
    doing = _DOING.get(worker.get("phase") or "")
    return "serving    nothing yet" + (f": the compiler {doing}{commit}" if doing else "")


def _place(finding: dict[str, Any]) -> str:
    return f"{finding['file']}:{finding['line']}:{finding['column']}: {finding['severity']}[{finding['code']}]"


def _proxy(proxy: dict[str, Any]) -> list[str]:
    """One line, and one more for each resource that was refused: where it comes from, and Envoy's words."""
    nacks = {url: kind["nack"] for url, kind in (proxy.get("types") or {}).items() if kind.get("nack")}
    if not proxy.get("known", True):
        verdict = "waits: the served commit has no such dataplane"
    elif nacks:
        verdict = "refused " + ", ".join(url.rpartition(".")[2] for url in nacks)
    else:
        verdict = "accepted" if proxy.get("fully_acked") else "is being sent"
    lines = [f"proxy      {proxy['node']}  {proxy.get('digest') or '-'}  {verdict}"]
    return lines + [f"           {_culprits(nack)}: {nack['message']}" for nack in nacks.values()]


def _culprits(nack: dict[str, Any]) -> str:
    return ", ".join(_culprit(resource) for resource in nack["resources"]) or "the whole answer"


def _culprit(resource: dict[str, Any]) -> str:
    place = f" ({resource['file']}:{resource['line']}:{resource['column']})" if "file" in resource else ""
    return f"{resource['name']}{place}"
