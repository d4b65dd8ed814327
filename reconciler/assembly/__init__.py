"""What an image is made of: which layers, under which keys, in which configuration. Pure."""
