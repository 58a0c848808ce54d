"""Has something else by the name of an application."""

app = 5
