"""Metrics of a proxy and its applications as one answer or one push (docs/dataplane-run.md)."""
