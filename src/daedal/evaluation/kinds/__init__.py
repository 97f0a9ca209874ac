"""What each kind of data is measured with: the model and the held-out examples, opened together."""
