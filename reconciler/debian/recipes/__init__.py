"""Packages whose scripts a person has read, and what is made in their place (a reviewed table)."""
