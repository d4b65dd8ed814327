"""What a request resolved to. Pure."""
