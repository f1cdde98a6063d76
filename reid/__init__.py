"""Person re-identification: from photos in Market-1501 layout to reproducible figures."""
