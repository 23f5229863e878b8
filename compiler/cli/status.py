"""`meshwright status`: what the running reconciler serves, to whom, and what it refused."""

import json
from typing import Annotated, Any

import typer

from compiler.cli.exits import UNREACHABLE, Stop
from compiler.cli.findings import Output


def status(
    http: Annotated[str, typer.Option(help="Address of the reconciler's HTTP server.")] = "127.0.0.1:5681",
    output: Annotated[Output, typer.Option("--output", "-o", help="text or json.")] = Output.TEXT,
) -> None:
    """Show what is served, what the last commit came to, and what each proxy accepted."""
    from urllib.error import URLError
    from urllib.request import urlopen

    try:
        with urlopen(f"http://{http}/status", timeout=5) as answer:  
            found: dict[str, Any] = json.load(answer)
    except (URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise Stop(f"nothing answers at http://{http}/status: {reason}", UNREACHABLE) from error
    if output is Output.JSON:
        typer.echo(json.dumps(found, indent=2))
        return
    for line in _lines(found):
        typer.echo(line)


def _lines(found: dict[str, Any]) -> list[str]:
    serving, candidate = found.get("serving") or {}, found.get("candidate") or {}
    lines = [f"serving    {serving.get('digest') or 'nothing yet'}  commit {serving.get('commit') or '-'}"]
    if candidate:
        lines.append(f"candidate  {candidate.get('state')}  commit {candidate.get('commit')}")
        lines += [f"           {candidate['reason']}"] if candidate.get("reason") else []
        lines += [f"           {_place(one)}: {one['message']}" for one in candidate.get("diagnostics") or ()]
    lines += [_proxy(proxy) for proxy in found.get("proxies") or ()]
    return lines


def _place(finding: dict[str, Any]) -> str:
    return f"{finding['file']}:{finding['line']}:{finding['column']}: {finding['severity']}[{finding['code']}]"


def _proxy(proxy: dict[str, Any]) -> str:
    refused = [kind for kind, state in (proxy.get("types") or {}).items() if state.get("nack")]
    verdict = "refused " + ", ".join(kind.rpartition(".")[2] for kind in refused) if refused else "accepted"
    return f"proxy      {proxy['node']}  {proxy.get('digest') or '-'}  {verdict}"
