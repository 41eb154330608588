"""What embeds one column, by kind: families compose these, and networks of several kinds have the same parts."""
