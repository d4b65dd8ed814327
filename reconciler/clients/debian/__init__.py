"""Debian archives: where they are, what their Release files vouch for, and their packages."""
