"""What does independent work side by side."""
