"""`make demo`: a commit reaches real Envoys, and every sentence that is printed was checked."""

import signal
import sys

if __name__ == "__main__":
    # Nothing is started yet: until the handlers stand, Ctrl-C just ends, without a traceback from some import.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from compiler.demo.run import main

    sys.exit(main())
