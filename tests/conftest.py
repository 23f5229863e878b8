"""What all tests share: the flag that writes expectations anew."""

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

# As `meshwright` does for itself: some of these tests serve gRPC, and others of the same process start programs.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background: programs that we start inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A property is judged by what it says, not by how busy the machine is; CI draws the same examples every time, so that a
# change is judged by what it changes, and people draw new ones.
settings.register_profile(
    "house",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
    print_blob=True,
)
settings.load_profile("house")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite",
        action="store_true",
        help="write the expectations of policy cases and goldens anew, and remove those that nothing asks for; "
        "read every line of the difference before committing it",
    )


@pytest.fixture
def rewrite(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--rewrite"))


@pytest.fixture(autouse=True)
def restored_signals() -> Iterator[None]:
    """What a test does about signals is not inherited by the programs that the next one starts."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    yield
    for number, receiver in before.items():
        if signal.getsignal(number) is not receiver:
            signal.signal(number, receiver)
