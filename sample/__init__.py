"""The project's own sample data: drawn pedestrians in Market-1501 layout, no real person in it."""
