"""What a request may say, one file an endpoint family: every field of the official API is honoured or refused by name."""
