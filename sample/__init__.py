"""Draw the project's sample data: pedestrians in Market-1501 layout, none of them a real person."""
