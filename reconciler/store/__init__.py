"""The local disk: durable writes, locks, content by digest."""
