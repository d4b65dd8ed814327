"""Debian packages and archives as formats and rules: what Debian Policy and its tools say, as values. Pure."""
