"""Text templates and the one environment that renders them."""
