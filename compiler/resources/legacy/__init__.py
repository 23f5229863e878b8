"""Kuma's policies from before targetRef: what they must hold, and the newer policies that say the same."""
