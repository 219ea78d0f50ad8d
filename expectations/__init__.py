"""The Great Expectations suites that gate finalization, one module per gated mart."""
