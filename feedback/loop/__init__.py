"""One turn of the loop: a table of stages from collected answers to the written queue."""
