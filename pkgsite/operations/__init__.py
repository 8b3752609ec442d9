"""What the operators of a site need: backups, health checks, metrics, logs, and errors at start that say what to do."""
