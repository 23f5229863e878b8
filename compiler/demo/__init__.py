"""What `make demo` runs beside the mesh."""
