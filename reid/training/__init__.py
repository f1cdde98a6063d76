"""Training: batches, augmentation, losses, optimiser, the loop and its checkpoints."""
