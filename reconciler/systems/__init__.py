"""Bases that are made of Debian packages: solved for, and computed as layers, without root, daemon or apt."""
