"""The commands of maintainer scripts that are known, and what each does to a root in memory (a reviewed table)."""
