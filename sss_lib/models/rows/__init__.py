"""Rows of the catalogue, a file a kind of model."""
