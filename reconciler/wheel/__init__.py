"""Wheels: what stands in one, checked, and what installing it leaves behind. Pure."""
