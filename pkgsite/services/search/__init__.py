"""Search: the index, queries and their results."""
