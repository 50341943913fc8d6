"""What a chain is: its events, its manifest, its records, and when a run of it was abandoned."""
