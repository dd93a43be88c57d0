"""Why we believe it. The folders mirror those of the product; `oracle/` is the brute force that it is held to."""
