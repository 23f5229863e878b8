"""A repository's own promises: invariants and route tests."""
