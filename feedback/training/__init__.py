"""Training: from consensus labels to a judged challenger and a serving champion."""
