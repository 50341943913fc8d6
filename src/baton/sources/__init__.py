"""What comes from outside: downloads, copies of objects, and the secrets that open other doors."""
