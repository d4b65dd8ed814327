"""What runs a command in an environment."""
