"""The data steps: plain functions on tables and arrays, a module a step."""
