"""What a training run sees: the manifest, its split and masks, the corpus on disk, and the order of its windows."""
