"""The generator of the sample input: samples.py assembles the samples, load.py the load sets."""
