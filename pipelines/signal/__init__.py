"""Sequences: decoding, cleaning, features, variations; arrays in, arrays out."""
