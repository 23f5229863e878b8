"""The forms in which findings are printed; apart from the printing, so that naming them loads nothing."""

from enum import StrEnum


class Output(StrEnum):
    """`github` are workflow commands, shown at the line of a pull request; `sarif` is for code scanning."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"
