"""One file a DVC stage: declared parameters and files in, the library, files out."""
