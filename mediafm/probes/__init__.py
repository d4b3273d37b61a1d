"""What frozen embeddings are worth: labels, linear probes and neighbours, on stored vectors only."""
