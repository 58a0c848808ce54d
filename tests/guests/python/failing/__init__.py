"""Modules of which no component can be made, and what the build is told of that."""
