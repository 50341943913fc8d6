"""What every stage stands on: results, events, locks, tracking, secrets, clusters."""
