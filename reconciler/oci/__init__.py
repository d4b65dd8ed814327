"""The nouns of the OCI image specification. Pure."""
