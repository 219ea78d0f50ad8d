"""The rating engine against tables of cases that people read and extend. See README.md."""
