"""Photos as people hand them over: folders and zip archives, in several layouts."""
