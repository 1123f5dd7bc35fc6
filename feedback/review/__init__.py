"""Review: cases that people decide after the model and the first answers, in tiers, with SLA clocks."""
