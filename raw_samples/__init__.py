"""Sample input of the warehouse and the generator that writes it (see README.md)."""
