"""tokenizer.json compiled into one table that every runtime of ours reads: `docs/tokenizer.md`."""
