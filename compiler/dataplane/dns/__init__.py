"""Names of the mesh for the application: answered from the snapshot's table, all others passed on."""
