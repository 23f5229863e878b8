"""Images without a folder."""

from io import BytesIO

from compiler.pipeline import Compiler
from compiler.review.kept.image import read_image, write_image
from compiler.source.tree import SourceTree


def written(compiler: Compiler, found: object = None) -> bytes:
    file = BytesIO()
    write_image(compiler, lambda: found, file)
    return file.getvalue()


def again(compiler: Compiler, tree: SourceTree) -> Compiler:
    """The same one, written and read."""
    return read_image(BytesIO(written(compiler)), tree, compiler)[0]
