"""What a model gives away of its training data: what it copies, what can be drawn out of it, which texts it betrays as
learned. One file a measure."""
