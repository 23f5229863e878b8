"""`meshwright dataplane wait`: what a container does first that needs its proxy to be ready."""

from typing import Annotated

import typer


def wait(
    url: Annotated[str, typer.Option(help="What answers 200 once the proxy is ready.")] = "http://localhost:9901/ready",
    timeout: Annotated[float, typer.Option(help="Seconds after which it gives up.", min=0, max=86400)] = 180.0,
) -> None:
    """Wait until a proxy is ready."""
    from compiler.cli.exits import UNREACHABLE, USAGE, Stop
    from compiler.dataplane.bootstrap import DataplaneError
    from compiler.dataplane.ready import NoAddressError, wait_until_ready

    try:
        wait_until_ready(url, timeout)
    except NoAddressError as error:
        raise Stop(str(error), USAGE) from error
    except DataplaneError as error:
        raise Stop(str(error), UNREACHABLE) from error
