"""What a pull-through cache should hold, seen from outside: each case is asked of every mirror, freshly started for it."""
