"""What `make check` and `make docs` run."""
