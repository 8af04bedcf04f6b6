"""The fifth tab: taking the result away."""
