"""Laws of curves out of any table: what the command ``fit`` prints, writes and draws."""
