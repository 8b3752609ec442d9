"""People: profiles and contributors."""
