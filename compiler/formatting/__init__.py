"""Canonical YAML of mesh documents: one spelling for one meaning, comments kept."""
