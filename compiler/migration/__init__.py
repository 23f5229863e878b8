"""Documents of an older dialect written anew in the newer one, and nothing else of a repository touched."""
