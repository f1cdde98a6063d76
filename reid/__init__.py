"""Person re-identification: from photos in Market-1501 layout to figures that come out again."""
