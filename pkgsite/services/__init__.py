"""What the site can do. Every edge (pages, API, jobs, command line) uses these functions."""
