"""What a model gives away of its training data: what it copies, what can be drawn out of it, whom it betrays. One file a measure."""
