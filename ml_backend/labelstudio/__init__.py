"""Everything that speaks to Label Studio: requests out, records in."""
