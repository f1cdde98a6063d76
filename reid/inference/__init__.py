"""The trained network as a function from photos to embeddings, on several engines."""
