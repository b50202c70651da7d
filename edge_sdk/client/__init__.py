"""The client: the object that an app keeps for its whole life, whatever state the device is in."""
