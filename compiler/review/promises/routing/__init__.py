"""What becomes of a request, told in pure Python from compiled snapshots, in the order in which Envoy decides."""
