"""How the text of a cell becomes a number, a time, a list of ids."""
