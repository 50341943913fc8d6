"""Columns to matrices: as the boosters take them, and one-hot for everything else."""
