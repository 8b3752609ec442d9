"""Moderation: the review queue, and what moderators do to packages."""
