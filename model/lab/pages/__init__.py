"""Plots, and pages that need nothing beside them."""
