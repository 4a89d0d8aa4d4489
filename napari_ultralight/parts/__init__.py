"""What several folds of the dock are made of; nothing here knows layers or models."""
