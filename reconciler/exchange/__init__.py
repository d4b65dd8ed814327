"""What brings images to other tools."""
