"""Whether this package runs compiled (decision 21); this module's own file tells."""

from typing import Final

IS_COMPILED: Final = not __file__.endswith(".py")
