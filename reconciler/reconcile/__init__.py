"""Gather, decide, act: written once, over the ports."""
