"""In the form of the package of this name: one zone, half an hour east, that nobody else has."""
