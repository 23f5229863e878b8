"""What every command pays before it has done anything."""

import subprocess
import sys

HEAVY = (
    "compiler.resources",
    "compiler.mesh",
    "compiler.snapshot",
    "compiler.source",
    "pygit2",
    "google",
    "envoy",
    "yaml",
)


def test_the_command_line_is_named_without_the_compiler() -> None:
    program = "import sys, compiler.cli.main; print(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    loaded = {name for name in printed.stdout.split() if name.startswith(HEAVY)}
    assert not loaded
