"""The command `meshwright`: one module a command, each imported with what it needs only when it runs."""

import gc
import os
import sys
from typing import Any, Final

import typer
from typer.core import TyperGroup

from compiler import __version__
from compiler.cli import (
    access_command,
    authority,
    bisect_command,
    blame_command,
    compile_command,
    dataplane,
    explain_command,
    fmt_command,
    import_command,
    init,
    inject_command,
    inspect_command,
    log_command,
    migrate_command,
    plan_command,
    serve_command,
    status,
    test_command,
    validate_command,
    wait_command,
)
from compiler.cli.exits import BUG, FINE, INTERRUPTED, UNREADABLE, USAGE, Stop

PREFIX: Final = "MESHWRIGHT_"
_KNOWN: Final = (f"{PREFIX}TRACEBACK", f"{PREFIX}COMMIT", f"{PREFIX}SNAPSHOTS")
"""Variables of no option: for whoever mends this program, and what `bisect` tells a command."""
_SETTINGS: Final = {
    "auto_envvar_prefix": PREFIX.rstrip("_"),
    "help_option_names": ["-h", "--help"],
    "max_content_width": 120,
}


class InOrder(TyperGroup):
    """Commands are listed in the order in which a newcomer meets them."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  # the framework's signature
        return list(self.commands)


app = typer.Typer(
    name="meshwright",
    cls=InOrder,
    help="Mesh YAML in a Git repository becomes versioned Envoy snapshots, and reaches real Envoys.",
    context_settings=_SETTINGS,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("init")(init.init)
app.command("validate")(validate_command.validate)
app.command("fmt")(fmt_command.fmt)
app.command("import")(import_command.import_)
app.command("migrate")(migrate_command.migrate)
app.command("compile")(compile_command.compile_)
app.command("test")(test_command.run_tests)
app.command("plan")(plan_command.plan)
app.command("diff", hidden=True)(plan_command.plan)
app.command("access")(access_command.access)
app.add_typer(inspect_command.app, name="inspect")
app.command("log")(log_command.log)
app.command("bisect")(bisect_command.bisect)
app.command("explain")(explain_command.explain)
app.command("blame")(blame_command.blame)
app.command("serve")(serve_command.serve)
app.command("status")(status.status)
app.command("inject")(inject_command.inject)
app.command("bootstrap")(dataplane.bootstrap)
dataplane.app.command("wait")(wait_command.wait)
app.add_typer(dataplane.app, name="dataplane")
app.add_typer(authority.app, name="ca")


@app.command()
def version() -> None:
    """The version of this program, and of what decides the bytes of a snapshot."""
    from importlib.metadata import version as version_of

    from compiler.xds.compiled import IS_COMPILED

    typer.echo(f"meshwright {__version__}{' (compiled)' if IS_COMPILED else ''}")
    for package in ("xds-protos", "protobuf"):
        typer.echo(f"{package} {version_of(package)}")


def main(arguments: list[str] | None = None) -> None:
    """Exit codes are those of design §6: 0 fine, 1 errors found, 64 usage, 65 unreadable, 69 unreachable, 70 a bug."""
    _warn_of_unknown_variables()
    code = run(arguments)
    gc.freeze()  # all that was made goes with the process; looking for cycles in it would take a tenth of its life
    sys.exit(code)


def run(arguments: list[str] | None = None) -> int:
    """The exit code of one invocation."""
    try:
        result = app(args=arguments, standalone_mode=False, prog_name="meshwright")
    except typer.Exit as leaving:
        return leaving.exit_code
    except typer.TyperException as error:
        return _refuse(error)
    except Stop as stop:
        typer.echo(f"meshwright: {stop}", err=True)
        return stop.code
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("meshwright: interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINE
    except OSError as error:
        typer.echo(f"meshwright: {error.filename or ''}: {error.strerror or error}".replace(" :", ""), err=True)
        return UNREADABLE
    except Exception as error:  # noqa: BLE001  # the one place: a bug of ours gets a sentence too
        return _confess(error)
    return result if isinstance(result, int) else FINE


def _refuse(error: typer.TyperException) -> int:
    """A mistake in what was typed, with the usage of the command (its own exit code, 2, means changes here)."""
    show = getattr(error, "show", None)
    if show is not None:
        show()
    else:
        typer.echo(f"meshwright: {error}", err=True)
    return USAGE


def _confess(error: Exception) -> int:
    """The trace is for whoever mends it, on request; the sentence is for whoever met it."""
    if os.environ.get(f"{PREFIX}TRACEBACK"):
        raise error
    kind = type(error).__name__
    typer.echo(f"meshwright: a bug of ours: {kind}: {error} (set {PREFIX}TRACEBACK=1 to see where)", err=True)
    return BUG


def _warn_of_unknown_variables() -> None:
    """A warning only: Kubernetes injects such names for a service that is called meshwright."""
    known = {*_KNOWN, *_variables(typer.main.get_command(app), PREFIX.rstrip("_"))}
    for name in sorted(set(os.environ) - known):
        if name.startswith(PREFIX) and not name.startswith((f"{PREFIX}SERVICE_", f"{PREFIX}PORT")):
            typer.echo(f"meshwright: warning: nothing reads the environment variable {name}", err=True)


def _variables(command: Any, prefix: str) -> set[str]:
    names = {f"{prefix}_{(one.name or '').upper()}" for one in command.params}
    names |= {one.envvar for one in command.params if isinstance(one.envvar, str)}
    for name, inner in getattr(command, "commands", {}).items():
        names |= _variables(inner, f"{prefix}_{name.upper().replace('-', '_')}")
    return names
