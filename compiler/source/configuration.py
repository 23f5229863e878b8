"""What a repository's own configuration says: neither the user's nor the machine's is looked at."""

import pygit2

from compiler.source.refs import GitDirectory

__all__ = ["read_setting"]


def read_setting(directory: GitDirectory, name: str) -> str:
    """Empty where it is not set, and for a name that git would not accept."""
    path = directory.common / "config"
    if not path.is_file():
        return ""
    try:
        return str(pygit2.Config(str(path))[name])
    except (KeyError, ValueError, pygit2.GitError):
        return ""
