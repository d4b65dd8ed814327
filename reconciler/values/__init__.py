"""Small values that everything shares. Pure."""
