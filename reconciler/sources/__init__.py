"""Where the files of the repository come from."""
