"""How fast the house is, told as ratios against a plain script, other engines and the limit, all measured in one run."""
