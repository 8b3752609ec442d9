"""The history of changes: reading it and reverting changes."""
