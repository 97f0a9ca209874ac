"""What is measured of models that compose."""
