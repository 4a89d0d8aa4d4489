"""Labels that nobody has saved: kept through a crash, and asked about before they are lost."""
