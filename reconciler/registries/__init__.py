"""Where environments are registered."""
