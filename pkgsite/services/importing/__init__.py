"""Importing records from files and other sites."""
