"""Registries over HTTP: what is asked, with which credentials, and what the answers mean."""
