"""Who may talk to whom, told from compiled snapshots."""
