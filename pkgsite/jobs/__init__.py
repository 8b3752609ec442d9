"""Work that nobody waits for: facts are refreshed, numbers kept, and old rows cleared away."""
