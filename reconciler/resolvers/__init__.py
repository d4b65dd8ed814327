"""What turns a request into a lock."""
