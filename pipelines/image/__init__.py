"""Images: decoding, likeness, features, variations; arrays in, arrays out."""
