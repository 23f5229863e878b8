"""Two versions into a plan: what differs, why, and what to look at."""
