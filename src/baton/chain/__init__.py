"""What a chain is: its events, manifest, runs and records, and when a run was abandoned."""
