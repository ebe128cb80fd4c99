"""The geoseg command: parse, call one library function, show the result."""
