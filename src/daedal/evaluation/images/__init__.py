"""Images: the numbers of the field, each with its definition and an interval, and the report of an image model."""
