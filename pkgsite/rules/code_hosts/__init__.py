"""The URL rules of code hosts: which part of a path is the repository, and which part is a page within it.

Rules remove only what the host itself calls a page, since the same word can be the name of a repository on another
host. On unknown hosts, the path is the repository.
"""
