"""Writes the sample input, or a load set of any size.

python raw_samples/generate.py --out DIR                         the samples (same bytes every time)
python raw_samples/generate.py --events N --days D --out DIR     a load set; also --accounts A, --seed S, --format F
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that it also runs as a plain script

from raw_samples.generator import company, load, samples


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--events", type=int, help="write a load set of that many records instead of the samples")
    parser.add_argument("--days", type=int, default=30, help="days over which they are spread (default 30)")
    parser.add_argument("--accounts", type=int, default=500, help="accounts that they belong to (default 500)")
    parser.add_argument("--seed", type=int, help="another seed gives other data (load sets only)")
    parser.add_argument(
        "--format", choices=("parquet", "csv", "jsonl"), default="parquet", help="format of a load set's dumps"
    )
    options = parser.parse_args(arguments)
    if options.events is None:
        if options.seed is not None:
            parser.error("the samples have one seed, company.SEED; --seed is for load sets")
        samples.write(options.out)
    else:
        if options.events < 1 or options.days < 1 or options.accounts < 1:
            parser.error("--events, --days and --accounts must be at least 1")
        seed = company.SEED if options.seed is None else options.seed
        figures = load.write_load(options.out, options.events, options.days, options.accounts, seed, options.format)
        print(json.dumps(figures, sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
