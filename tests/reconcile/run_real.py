"""`serve` as it is: the options as JSON on the command line."""

import json
import sys

from compiler.reconcile.options import ServeOptions
from compiler.reconcile.supervisor import supervise

if __name__ == "__main__":
    sys.exit(supervise(ServeOptions.from_json(json.loads(sys.argv[1]))))
