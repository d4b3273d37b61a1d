"""The catalogue: which titles there are, by name, size and time; media is never opened here."""
