"""What only a training needs."""
