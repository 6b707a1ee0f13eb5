"""The sample: a delivery company, its models, its data and a few options for its admin."""
