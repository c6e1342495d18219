"""Maps that leave TomoLens: on the grid of the scan, in the formats of the viewers on the desk."""
