"""What the packages share: errors, names, the study's declaration and the tables' conventions."""
