"""Scheduled background jobs: refreshing facts, recording samples, updating scores and deleting old rows."""
