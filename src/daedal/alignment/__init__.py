"""What people prefer, and how a model learns it: short pure losses over one rollout core."""
