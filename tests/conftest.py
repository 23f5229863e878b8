"""What all tests share: the flag that writes expectations anew."""

import os

import pytest
from hypothesis import HealthCheck, settings

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
