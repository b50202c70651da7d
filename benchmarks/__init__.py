"""Scripts that print what they measured on this machine; `make bench` runs them."""
