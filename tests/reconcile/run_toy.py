"""`serve` with the toy compiler: the options as JSON on the command line."""

import json
import sys
from pathlib import Path

from compiler.reconcile.options import ServeOptions
from compiler.reconcile.supervisor import Commands, supervise

if __name__ == "__main__":
    root = str(Path(__file__).parents[2])
    start = "import runpy, sys; sys.path.insert(0, {!r}); runpy.run_module('tests.reconcile.toy', run_name='__main__')"
    commands = Commands(worker=(sys.executable, "-P", "-c", start.format(root)))
    sys.exit(supervise(ServeOptions.from_json(json.loads(sys.argv[1])), commands))
