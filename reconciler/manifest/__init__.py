"""Manifests and configuration, from bytes to what is desired. Pure."""
