"""One outside system each, its errors mapped."""
