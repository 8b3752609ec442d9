"""The JSON API: the same records as the pages, for programs. `v3` and `v4` are its versions."""
