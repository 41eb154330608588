"""Texts: reading, cleaning, likeness, words and features; strings in, strings and arrays out."""
