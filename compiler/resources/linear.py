"""Regular expressions of other people, matched in linear time whatever they say."""

from collections.abc import Callable


def compile_linear(pattern: str) -> Callable[[str], bool]:
    """Whether it is found anywhere in a text; raises ValueError for what is no such expression.

    Python's own would take minutes for `^(a+)+$`, and what a scraper asks for comes from the network.
    """
    import jsonschema_rs

    options = jsonschema_rs.RegexOptions()
    return jsonschema_rs.Draft7Validator({"pattern": pattern}, pattern_options=options, offline=True).is_valid
