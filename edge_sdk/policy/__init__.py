"""The policy: rules as data, and the steps that turn scores into a list. Pure functions over memory and arrays."""
