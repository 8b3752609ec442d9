"""What is true, whatever the database, the clock, the network or the web framework: pure functions."""
