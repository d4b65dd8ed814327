"""A declarative GitOps reconciler for machine-learning environments."""
