"""What makes one target better than another: measured factors, and how a combo weighs them."""
