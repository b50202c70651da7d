"""The operator's policy: rules as data, which candidates are eligible, their scores, and the list. No I/O."""
