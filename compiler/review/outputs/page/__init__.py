"""A plan as one self-contained page: nothing is fetched, and it works without its script, only without the search."""

from compiler.review.outputs.page.page import render_html

__all__ = ["render_html"]
