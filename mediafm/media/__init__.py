"""Media: probing, the one decode, sound, timed text, and synthetic titles."""
