"""The command `report`: one page of pictures of all results."""
