"""Compilers that are kept between runs, each as it was after one tree (docs/decisions/0016)."""
