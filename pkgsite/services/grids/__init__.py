"""Grids: reading, comparing and editing them."""
