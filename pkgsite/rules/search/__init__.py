"""Rules of search: parsing queries, ranking, spelling."""
