"""Runs beside one another: which is better, by how much, for whom, and whether that is more than chance."""
