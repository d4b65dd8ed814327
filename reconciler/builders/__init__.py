"""What turns a lock into an artifact."""
