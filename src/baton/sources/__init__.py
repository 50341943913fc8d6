"""What comes from outside: downloads, and the secrets that open other people's doors."""
