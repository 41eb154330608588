"""One file a family; its name in the settings is its file's."""
